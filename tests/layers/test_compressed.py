"""What a Sparsifier asks of a compressed layer."""

from weakref import ref

import pytest
import torch
from torch import nn

from rarefy import layers
from rarefy.errors import BudgetError, EvidenceError, PatternError, StateError


def gradients(model, x):
    model.zero_grad()
    model(x).square().sum().backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def test_its_tensors(model):
    layer = model[3]
    assert isinstance(layer.weight_values, nn.Parameter)
    assert layer.weight_values.shape == (2880,)
    assert layer.weight_topology.dtype == torch.int32
    assert set(dict(layer.named_parameters())) == {"weight_values", "bias"}
    assert set(layer.state_dict()) == {"weight_values", "weight_topology", "bias"}


def test_what_a_sparsifier_asks(model):
    for layer in (model[0], model[3]):
        mask, places = layer.mask(), layer.places()
        assert mask.shape == layer.weight_shape()
        assert torch.equal(mask.flatten().nonzero().squeeze(1), places.sort().values)
        assert layer.count() == len(places) == int(mask.sum())
        dense = layer.dense_weight()
        assert not dense.requires_grad
        assert torch.equal(dense.flatten()[places], layer.weight_values.detach()[: len(places)])
        assert not dense[~mask].any()


def test_an_exchange_is_prepared_and_then_adopted(model):
    layer = model[3]
    before, places = layer.weight_topology.clone(), layer.places()
    dead = (~layer.mask()).flatten().nonzero().squeeze(1)
    wanted = torch.cat([places[100:], dead[:60]])[torch.randperm(len(places) - 40)]
    change = layer.exchanged(wanted.int())
    assert torch.equal(layer.weight_topology, before)
    address = layer.weight_topology.data_ptr()
    layer.adopt(change)
    assert layer.weight_topology.data_ptr() == address
    assert torch.equal(layer.weight_topology, change.topology_buffer)
    assert layer.count() == len(wanted)
    assert set(layer.places().tolist()) == set(wanted.tolist())
    source = change.source[: layer.count()]
    survived = source >= 0
    assert torch.equal(layer.places()[survived], places[source[survived]])
    assert int(survived.sum()) == len(places) - 100
    assert (change.source[layer.count() :] == -1).all()


def test_a_change_that_cannot_be_is_refused(model):
    layer = model[5]
    with pytest.raises(BudgetError, match="do not fit into 120 slots"):
        layer.exchanged(torch.arange(121))
    with pytest.raises(PatternError, match="outside"):
        layer.exchanged(torch.tensor([400]))
    with pytest.raises(StateError, match=r"take it from this layer's exchanged"):
        layer.adopt(model[3].exchanged(torch.arange(9)))


def test_a_layer_may_lose_all_and_get_some_again(model, x):
    layer = model[3]
    layer.adopt(layer.exchanged(torch.zeros(0, dtype=torch.long)))
    assert layer.count() == 0
    assert not gradients(model, x)[2].any()
    layer.adopt(layer.exchanged(torch.tensor([5, 3])))
    assert gradients(model, x)[2].count_nonzero() <= 2


def test_recorded_passes_give_rows_of_the_dense_gradient(model, x):
    model.double()
    x = x.double()
    with model[0].recorded(), model[3].recorded():
        gradients(model, x)
        once = [parameter.grad.clone() for parameter in model.parameters()]
        model(x).square().sum().backward()
        for layer, its in ((model[0], once[0]), (model[3], once[2])):
            rows = layer.topology.rows
            parts = [
                layer.gradient_rows(first, min(first + 7, rows)) for first in range(0, rows, 7)
            ]
            dense = torch.cat(parts)
            torch.testing.assert_close(layer.topology.gather(dense), 2 * its)
            assert layer.recorded_passes() == 2
            layer.forget_recorded(1)
            assert layer.recorded_passes() == 1
            layer.forget_recorded()
            with pytest.raises(EvidenceError):
                layer.gradient_rows(0, 1)
    model(x).sum().backward()
    with pytest.raises(EvidenceError, match="inside recorded"):
        model[3].gradient_rows(0, 1)


def test_recording_keeps_what_the_product_saw(model, x):
    layer = model[3]
    with torch.autocast("cpu"), layer.recorded():
        model(x).float().square().sum().backward()
        rows = layer.gradient_rows(0, 40)
    assert rows.dtype == torch.float32
    torch.testing.assert_close(layer.topology.gather(rows), layer.weight_values.grad)


def test_a_kept_loss_does_not_keep_products():
    mask = torch.rand(40, 30) < 0.3
    layer = layers.SparseLinear(30, 40, mask=mask)
    loss = layer(torch.randn(4, 30)).sum()
    loss.backward()
    before = ref(layer._held.products(layer.weight_topology))
    places = layer.places()
    layer.adopt(layer.exchanged(torch.cat([places[1:], (~layer.mask()).flatten().nonzero()[0]])))
    layer(torch.randn(4, 30))
    assert before() is None
    assert loss.requires_grad

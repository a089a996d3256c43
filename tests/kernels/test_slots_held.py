"""Products follow their buffer: kept while it stays, made anew when it is written to."""

import copy
import gc
import pickle
import weakref

import pytest
import torch

from rarefy.errors import EvidenceError, StateError
from rarefy.kernels import Geometry, Held, Products, Topology
from rarefy.kernels._slots_held import products_of


def buffer_of(seed=0, count=60):
    places = torch.randperm(40 * 50, generator=torch.Generator().manual_seed(seed))[:count]
    return Topology.of_places(40, 50, places).buffer


def test_products_are_kept_while_the_buffer_stays():
    held, buffer = Held(), buffer_of()
    first = held.products(buffer)
    assert held.products(buffer) is first
    assert held.products(buffer.detach()) is first


def test_a_buffer_that_was_written_to_is_read_again():
    held, buffer, other = Held(), buffer_of(), buffer_of(1)
    first = held.products(buffer)
    buffer.copy_(other)
    second = held.products(buffer)
    assert second is not first
    assert torch.equal(second.topology.places(), Topology.read(other).places())
    buffer[0] = 9
    with pytest.raises(StateError, match="version is 9"):
        held.products(buffer)


def test_another_buffer_is_another_topology():
    held, buffer, other = Held(), buffer_of(), buffer_of(1)
    held.products(buffer)
    assert torch.equal(held.products(other).topology.buffer, other)
    data = buffer.clone()
    held.products(data)
    data.data = other
    assert torch.equal(held.products(data).topology.buffer, other)


def test_an_inference_tensor_can_be_a_buffer():
    with torch.inference_mode():
        held, buffer = Held(), buffer_of()
        assert held.products(buffer) is held.products(buffer)


class Layer:
    """As far as a deep copy is concerned."""

    def __init__(self):
        self.buffer = buffer_of()
        self.held = Held(Geometry((1, 1)))
        self.products = self.held.products(self.buffer)


def test_a_deep_copy_shares_the_products():
    layer = Layer()
    del layer.products
    twin = copy.deepcopy(layer)
    assert twin.held.products(twin.buffer) is layer.held.products(layer.buffer)
    assert twin.held.geometry == layer.held.geometry


@pytest.mark.parametrize("which", ["twin", "layer"])
def test_a_copy_or_original_that_changes_leaves_the_other_alone(which):
    layer = Layer()
    del layer.products
    twin = copy.deepcopy(layer)
    changed, kept = (twin, layer) if which == "twin" else (layer, twin)
    changed.buffer.copy_(buffer_of(1))
    for each, seed in ((kept, 0), (changed, 1)):
        found = each.held.products(each.buffer).topology
        assert torch.equal(found.places(), Topology.read(buffer_of(seed)).places())


def test_a_pickle_leaves_the_products_behind():
    layer = Layer()
    again = pickle.loads(pickle.dumps(layer.held))
    assert again.geometry == layer.held.geometry
    assert len(pickle.dumps(layer.held)) < 500


def test_products_leave_with_their_layer():
    layer = Layer()
    gone = weakref.ref(layer.products)
    del layer
    gc.collect()
    assert gone() is None


def test_an_operator_finds_what_a_layer_holds():
    layer = Layer()
    products, records = products_of(layer.buffer.detach(), "1x1 1x1 0x0 1x1")
    assert products is layer.products
    assert records is layer.held.records


def test_an_operator_finds_its_way_without_a_layer():
    buffer = buffer_of()
    products, records = products_of(buffer, "")
    assert products_of(buffer, "")[0] is products
    assert not records.on
    buffer.copy_(buffer_of(1))
    assert torch.equal(products_of(buffer, "")[0].topology.buffer, buffer)
    gone = weakref.ref(products_of(buffer, "")[0])
    del buffer, products
    gc.collect()
    assert gone() is None


def test_an_operator_with_another_geometry_gets_its_own():
    layer = Layer()
    products, _ = products_of(layer.buffer, "")
    assert products.geometry is None


def test_a_layer_whose_buffer_moved_is_not_taken_for_the_next_one_there():
    layer = Layer()
    layer.held.products(buffer_of(1))  # it holds another buffer now
    products, records = products_of(layer.buffer, "1x1 1x1 0x0 1x1")
    assert torch.equal(products.topology.buffer, layer.buffer)
    assert records is not layer.held.records


def test_records_add_up():
    products = Products(Topology(buffer_of()))
    held = Held()
    records = held.records
    passes = [
        (torch.randn(3, 50), torch.randn(3, 40)),
        (torch.randn(2, 2, 50), torch.ones(2, 2, 40)),
    ]
    records.add(products, *passes[0])
    with pytest.raises(EvidenceError, match="no backward pass was recorded"):
        records.gradient_rows(products, 0, 40)
    records.on = True
    for x, dy in passes:
        records.add(products, x, dy)
    wanted = sum(dy.reshape(-1, 40).t() @ x.reshape(-1, 50) for x, dy in passes)
    torch.testing.assert_close(records.gradient_rows(products, 0, 40), wanted)
    torch.testing.assert_close(records.gradient_rows(products, 7, 9), wanted[7:9])
    assert len(records) == 2
    records.forget(1)
    last = passes[1][1].reshape(-1, 40).t() @ passes[1][0].reshape(-1, 50)
    torch.testing.assert_close(records.gradient_rows(products, 0, 40), last)
    records.forget()
    with pytest.raises(EvidenceError):
        records.gradient_rows(products, 0, 40)

"""A compressed layer in an ordinary life: moved, copied, saved, averaged, compiled."""

import copy
import io

import pytest
import torch
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint


def gradients(model, x):
    model.zero_grad()
    model(x).square().sum().backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def assert_equal(one, other):
    for each, its in zip(one, other, strict=True):
        assert torch.equal(each, its)


def moved(layer, seed=1):
    """A change of most places of a layer."""
    size = layer.topology.rows * layer.topology.columns
    generator = torch.Generator().manual_seed(seed)
    return layer.exchanged(torch.randperm(size, generator=generator)[: layer.count()])


def test_deep_copies_live_on_their_own(model, x):
    wanted = model(x)
    twin = copy.deepcopy(model)
    assert torch.equal(twin(x), wanted)
    model[3].adopt(moved(model[3]))
    assert torch.equal(twin(x), wanted)
    twin[5].adopt(moved(twin[5]))
    assert not torch.equal(twin(x), wanted)


def test_saved_whole_and_as_state(build, model, x):
    model[3].adopt(moved(model[3]))
    wanted = gradients(model, x)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    assert_equal(gradients(torch.load(file, weights_only=False), x), wanted)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    again = build(seed=5)
    again(x)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert_equal(gradients(again, x), wanted)


def test_dtypes_change_the_values_alone(model, x):
    wanted, topology = model(x), model[3].weight_topology.clone()
    model.double()
    assert model[3].weight_topology.dtype == torch.int32
    torch.testing.assert_close(model(x.double()).float(), wanted)
    for dtype in (torch.bfloat16, torch.float16):
        narrow = copy.deepcopy(model).to(dtype)
        assert torch.equal(narrow[3].weight_topology, topology)
        y = narrow(x.to(dtype))
        assert y.dtype == dtype
        torch.testing.assert_close(y.float(), wanted, rtol=0.05, atol=0.05)


def test_to_the_cpu_and_through_meta(model, x):
    wanted = model(x)
    assert torch.equal(model.to("cpu")(x), wanted)
    empty = copy.deepcopy(model).to("meta")
    assert empty(x.to("meta")).shape == wanted.shape
    empty = empty.to_empty(device="cpu")
    empty.load_state_dict(model.state_dict())
    assert torch.equal(empty(x), wanted)
    empty = copy.deepcopy(model).to("meta")
    empty.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(empty(x), wanted)


def test_gradients_accumulate(model, x):
    once = gradients(model, x)
    model(x).square().sum().backward()
    for parameter, its in zip(model.parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * its)


def test_frozen_values(model, x):
    model.requires_grad_(False)
    model[5].bias.requires_grad_()
    model(x).sum().backward()
    assert model[3].weight_values.grad is None
    assert model[5].bias.grad is not None


def test_averages_of_a_model(model, x):
    average = AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5))
    average.update_parameters(model)
    before = model[3].weight_values.detach().clone()
    with torch.no_grad():
        model[3].weight_values.mul_(3)
    average.update_parameters(model)
    assert torch.equal(average.module[3].weight_values, 2 * before)
    average(x)


def test_any_optimizer_trains_it(model, x):
    optimizer = AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = model(x).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10
    assert not model[3].weight_values[model[3].count() :].any()


def test_autocast_gives_its_dtype_from_a_product_in_float32(model):
    layer = model[5]
    inputs = torch.randn(3, 40, requires_grad=True)
    wanted = layer(inputs).bfloat16()
    with torch.autocast("cpu"):
        y = layer(inputs)
        assert layer(inputs.bfloat16()).dtype == torch.bfloat16
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, wanted)
    y.sum().backward()
    assert inputs.grad.dtype == layer.weight_values.grad.dtype == torch.float32
    model.double()
    with torch.autocast("cpu"):  # as torch does with float64
        assert layer(inputs.double()).dtype == torch.float64


def test_functional_call_and_checkpointing(model, x):
    doubled = {name: 2 * p for name, p in model.named_parameters()}
    found = torch.func.functional_call(model, doubled, (x,))
    wanted = gradients(model, x)
    model.zero_grad()
    checkpoint(model, x, use_reentrant=False).square().sum().backward()
    assert_equal([p.grad for p in model.parameters()], wanted)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    assert torch.equal(found, model(x))


def test_compiled(model, x):
    torch._dynamo.reset()
    fast = torch.compile(model, fullgraph=True, backend="aot_eager")
    wanted = gradients(model, x)
    model.zero_grad()
    with model[3].recorded():
        fast(x).square().sum().backward()
        rows = model[3].gradient_rows(0, 40)
    assert_equal([p.grad for p in model.parameters()], wanted)
    torch.testing.assert_close(model[3].topology.gather(rows), wanted[2])
    model[3].adopt(moved(model[3]))
    assert torch.equal(fast(x), model(x))
    with torch.autocast("cpu"):
        assert fast(x).dtype == torch.bfloat16


def test_exported(model, x):
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    again = program.module()
    assert torch.equal(again(x), model(x))
    assert again(x[:2]).shape == (2, 10)


def test_double_backward_is_refused(model, x):
    found = torch.autograd.grad(model(x).sum(), model[3].weight_values, create_graph=True)
    with pytest.raises(Exception, match="no second derivatives"):
        found[0].square().sum().backward()


def test_inference_mode(build, model, x):
    with torch.inference_mode():
        found = model(x)
        built = build()
        assert built(x).shape == found.shape
    assert torch.equal(found, model(x))

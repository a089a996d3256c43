"""The differentiable product: eager, traced and transformed, each the same, once differentiable."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from rarefy.errors import AttachError
from rarefy.kernels import Geometry, Held, Topology, slots

KINDS = {"linear": None, "conv": Geometry((3, 2), stride=(2, 1), padding=(1, 0))}
kinds = pytest.mark.parametrize("geometry", KINDS.values(), ids=list(KINDS))


class Parts:
    """What a layer would hand over."""

    def __init__(self, geometry, dtype=torch.float64):
        torch.manual_seed(0)
        columns = 8 * 6 if geometry else 48
        mask = torch.rand(35, columns) < 0.2
        self.topology = Topology.of_mask(mask, int(mask.sum()) + 2)
        self.held = Held(geometry)
        self.values = self.topology.gather(torch.randn(35, columns, dtype=dtype)).requires_grad_()
        self.bias = torch.randn(35, dtype=dtype, requires_grad=True)
        shape = (2, 8, 5, 4) if geometry else (2, 3, 48)
        self.x = torch.randn(shape, dtype=dtype, requires_grad=True)

    def run(self, x=None, values=None, bias=None):
        """The product of these or other tensors."""
        return slots(
            self.x if x is None else x,
            self.values if values is None else values,
            self.topology.buffer,
            self.bias if bias is None else bias,
            35,
            self.held,
        )

    def gradients(self, y, **words):
        """Those of a scalar made of the output."""
        return torch.autograd.grad(y.square().sum(), [self.x, self.values, self.bias], **words)


@kinds
def test_gradients_pass_gradcheck(geometry):
    parts = Parts(geometry)
    count = parts.topology.count

    def living(x, values, bias):
        padded = torch.cat([values, values.new_zeros(2)])
        return parts.run(x, padded, bias)

    inputs = (parts.x, parts.values.detach()[:count].requires_grad_(), parts.bias)
    assert torch.autograd.gradcheck(living, inputs)


@kinds
def test_only_what_is_asked_is_computed(geometry, monkeypatch):
    parts = Parts(geometry)
    products = parts.held.products(parts.topology.buffer)
    called = []
    for name in ("input_gradient", "weight_gradient", "bias_gradient"):
        real = getattr(products, name)
        monkeypatch.setattr(
            products, name, lambda *a, n=name, run=real: called.append(n) or run(*a)
        )
    parts.x.requires_grad_(False)
    parts.bias.requires_grad_(False)
    parts.run().sum().backward()
    assert called == ["weight_gradient"]
    called.clear()
    parts.values.requires_grad_(False)
    parts.x.requires_grad_()
    parts.run().sum().backward()
    assert called == ["input_gradient"]


@kinds
def test_padding_gets_no_gradient(geometry):
    parts = Parts(geometry)
    parts.run().sum().backward()
    assert not parts.values.grad[parts.topology.count :].any()


@kinds
def test_no_gradient_no_graph(geometry):
    parts = Parts(geometry)
    with torch.no_grad():
        assert not parts.run().requires_grad
    frozen = [each.detach() for each in (parts.x, parts.values, parts.bias)]
    assert not parts.run(*frozen).requires_grad
    assert slots(frozen[0], frozen[1], parts.topology.buffer, None, 35, parts.held).shape


@kinds
def test_second_derivatives_are_refused(geometry):
    parts = Parts(geometry)
    for y in (parts.run(), torch.compile(parts.run, backend="aot_eager")()):
        with pytest.raises((AttachError, RuntimeError)):  # a compiler refuses in its own words
            sum(each.sum() for each in parts.gradients(y, create_graph=True)).backward()
    found = parts.gradients(parts.run(), create_graph=True)
    for one, other in zip(found, parts.gradients(parts.run()), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(AttachError, match="no second derivatives"):
        found[1].sum().backward()
    linear = torch.autograd.grad(parts.run().sum(), parts.x, create_graph=True)[0]
    with pytest.raises(AttachError, match="no second derivatives"):
        linear.sum().backward()


def test_a_topology_written_to_before_the_backward_pass_is_noticed():
    parts = Parts(None)
    y = parts.run()
    parts.topology.buffer.copy_(parts.topology.buffer.clone())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@kinds
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_is_the_same(geometry, backend):
    torch._dynamo.reset()
    parts = Parts(geometry)
    fast = torch.compile(parts.run, fullgraph=True, backend=backend)
    found, wanted = fast(), parts.run()
    assert torch.equal(found, wanted)
    for one, other in zip(parts.gradients(found), parts.gradients(wanted), strict=True):
        assert torch.equal(one, other)
    for batch in (3, 5):  # by now the size is dynamic
        x = torch.randn(batch, *parts.x.shape[1:], dtype=torch.float64)
        assert torch.equal(fast(x), parts.run(x))


def test_a_compiled_call_sees_a_changed_topology():
    torch._dynamo.reset()
    parts = Parts(None)
    fast = torch.compile(parts.run, fullgraph=True, backend="aot_eager")
    fast()
    places = torch.randperm(35 * 48)[: parts.topology.count]
    other = Topology.of_places(35, 48, places, parts.topology.capacity)
    parts.topology.buffer.copy_(other.buffer)
    dense = other.scatter(parts.values.detach())
    wanted = functional.linear(parts.x, dense, parts.bias)
    torch.testing.assert_close(fast(), wanted)


@kinds
def test_the_operators_keep_torchs_rules(geometry):
    parts = Parts(geometry)
    words = parts.held.text
    arguments = (parts.x, parts.values, parts.topology.buffer, parts.bias, 35, words)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.rarefy.slots.default, arguments, test_utils=tests)
    dy = torch.randn_like(parts.run().detach())
    plain = [each.detach() for each in (parts.x, parts.values)]
    torch.library.opcheck(
        torch.ops.rarefy.slots_input_gradient.default,
        (dy, plain[1], parts.topology.buffer, list(parts.x.shape), words),
        test_utils=tests,
    )
    torch.library.opcheck(
        torch.ops.rarefy.slots_weight_gradient.default,
        (plain[0], dy, parts.topology.buffer, parts.topology.capacity, words),
        test_utils=tests,
    )


@kinds
def test_transforms_of_functions(geometry):
    parts = Parts(geometry)

    def loss(values, bias, x):
        return parts.run(x, values, bias).square().sum()

    found = torch.func.grad(loss, (0, 1))(parts.values, parts.bias, parts.x)
    _, *wanted = parts.gradients(parts.run())
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_gradients_of_each_sample():
    parts = Parts(None)

    def loss(values, x):
        return parts.run(x, values).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(parts.values, parts.x)
    wanted = [torch.func.grad(loss)(parts.values, x) for x in parts.x]
    torch.testing.assert_close(each, torch.stack(wanted))


@kinds
def test_a_tracer_sees_one_operator(geometry):
    parts = Parts(geometry)
    with torch.no_grad():
        graph = make_fx(lambda x: parts.run(x))(parts.x.detach()).graph
    called = [str(node.target) for node in graph.nodes if node.op == "call_function"]
    assert "rarefy.slots.default" in called
    assert len([name for name in called if name.startswith("aten.mm")]) == 0


@kinds
def test_on_the_meta_device_there_are_shapes(geometry):
    parts = Parts(geometry)
    meta = [each.detach().to("meta") for each in (parts.x, parts.values, parts.bias)]
    found = slots(meta[0], meta[1], parts.topology.buffer.to("meta"), meta[2], 35, parts.held)
    assert found.is_meta
    assert found.shape == parts.run().shape


def test_compiled_backward_passes_are_recorded():
    torch._dynamo.reset()
    parts = Parts(None)
    products = parts.held.products(parts.topology.buffer)
    fast = torch.compile(parts.run, fullgraph=True, backend="aot_eager")
    fast().sum().backward()
    parts.held.records.on = True
    fast().sum().backward()
    parts.run().sum().backward()
    rows = parts.held.records.gradient_rows(products, 0, 35)
    parts.values.grad = None
    parts.held.records.on = False
    parts.run().sum().backward()
    torch.testing.assert_close(parts.topology.gather(rows), 2 * parts.values.grad)

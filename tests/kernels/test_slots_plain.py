"""The plain products against dense torch, and that they never make the weight dense as a whole."""

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rarefy.kernels import Geometry, Topology
from rarefy.kernels._slots_plain import PlainProducts

SHAPES = [(1, 1), (1, 9), (9, 1), (7, 45), (30, 30), (31, 61), (100, 3), (300, 45), (481, 31)]
GEOMETRIES = [
    Geometry((1, 1)),
    Geometry((3, 3), padding=(1, 1)),
    Geometry((3, 2), stride=(2, 1), padding=(0, 2)),
    Geometry((2, 3), dilation=(2, 1)),
]


class Parts:
    """A topology, its dense weight, and tensors to multiply."""

    def __init__(self, rows, geometry, columns, density=0.3, dtype=torch.float64, slack=3):
        kernel = geometry.kernel if geometry else ()
        shape = (rows, columns, *kernel)
        mask = torch.rand(shape) < density
        mask[rows // 2] = False
        mask[:, columns // 3] = False
        self.weight = torch.randn(shape, dtype=dtype) * mask
        flat = mask.flatten(1)
        self.topology = Topology.of_mask(flat, min(flat.numel(), int(flat.sum()) + slack))
        self.values = self.topology.gather(self.weight)
        self.bias = torch.randn(rows, dtype=dtype)
        self.x = torch.randn(5, columns, *((8, 7) if geometry else ()), dtype=dtype)
        self.geometry = geometry
        self.products = PlainProducts(self.topology, geometry)

    def dense(self, x, weight, bias):
        """What torch gives for the dense weight."""
        if self.geometry is None:
            return functional.linear(x, weight, bias)
        known = self.geometry
        return functional.conv2d(x, weight, bias, known.stride, known.padding, known.dilation)

    def check(self, tolerance=1e-12):
        """Compare every product with it."""
        leaves = [each.clone().requires_grad_() for each in (self.x, self.weight, self.bias)]
        y = self.dense(*leaves)
        dy = torch.randn_like(y)
        dx, dense, _ = torch.autograd.grad(y, leaves, dy)
        near = {"rtol": tolerance, "atol": tolerance}
        found = self.products.forward(self.x, self.values, self.bias)
        torch.testing.assert_close(found, y.detach(), **near)
        found = self.products.input_gradient(dy, self.values, self.x.shape)
        torch.testing.assert_close(found, dx, **near)
        found = self.products.weight_gradient(self.x, dy)
        torch.testing.assert_close(found, self.topology.gather(dense), **near)
        assert not found[self.topology.count :].any()
        rows = self.topology.rows
        for first, last in ((0, rows), (rows // 3, rows // 2 + 1)):
            found = self.products.gradient_rows(self.x, dy, first, last)
            torch.testing.assert_close(found, dense.flatten(1)[first:last], **near)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("density", [0, 0.3, 1])
def test_linear_is_what_torch_gives(shape, density):
    torch.manual_seed(0)
    Parts(shape[0], None, shape[1], density).check()


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=Geometry.text)
@pytest.mark.parametrize("sides", [(1, 1), (5, 4), (31, 7), (250, 2)], ids=str)
def test_convolution_is_what_torch_gives(geometry, sides):
    torch.manual_seed(0)
    Parts(sides[0], geometry, sides[1]).check()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("geometry", [None, GEOMETRIES[1]], ids=["linear", "conv"])
def test_other_dtypes(dtype, geometry):
    torch.manual_seed(0)
    tolerance = 1e-5 if dtype is torch.float32 else 5e-2
    Parts(70, geometry, 20, dtype=dtype).check(tolerance)


@pytest.mark.parametrize("geometry", [None, GEOMETRIES[1]], ids=["linear", "conv"])
def test_no_tokens(geometry):
    parts = Parts(40, geometry, 6)
    parts.x = parts.x[:0]
    parts.check()


def test_parts_in_a_narrow_dtype_are_added_in_a_wide_one():
    topology = Topology.of_mask(torch.ones(600, 1, dtype=torch.bool))
    values = torch.full((600,), 1.0, dtype=torch.bfloat16)
    dy = torch.ones(1, 600, dtype=torch.bfloat16)
    dy[0, 1:240] = 2**-6  # each further chunk would be lost beside the first
    dy[0, 0] = 256
    found = PlainProducts(topology, None).input_gradient(dy, values, torch.Size((1, 1)))
    assert found.item() == dy.double().sum().to(torch.bfloat16)


def test_a_callers_autocast_changes_nothing():
    torch.manual_seed(0)
    parts = Parts(70, None, 20, dtype=torch.float32)
    wanted = parts.products.forward(parts.x, parts.values, parts.bias)
    with torch.autocast("cpu"):
        found = parts.products.forward(parts.x, parts.values, parts.bias)
    assert torch.equal(found, wanted)


class NoDenseWeight(TorchDispatchMode):
    """Raises where a floating tensor of the weight's shape, or of it turned, comes up."""

    def __init__(self, rows, columns, *more):
        super().__init__()
        self.shapes = {(rows, columns), (columns, rows), *more}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for each in tree_leaves((args, found)):
            if isinstance(each, torch.Tensor) and each.is_floating_point():
                assert tuple(each.shape) not in self.shapes, f"{func} saw the dense weight"
        return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_no_linear_weight_is_ever_dense(shape):
    rows, columns = shape
    parts = Parts(rows, None, columns, slack=0)
    x, dy = parts.x.new_ones(17, columns), parts.x.new_ones(17, rows)
    with NoDenseWeight(rows, columns):
        parts.products.forward(x, parts.values, parts.bias)
        parts.products.input_gradient(dy, parts.values, x.shape)
        parts.products.weight_gradient(x, dy)


@pytest.mark.parametrize("sides", [(1, 1), (5, 4), (31, 7), (250, 2)], ids=str)
def test_no_convolution_weight_is_ever_dense(sides):
    known = GEOMETRIES[1]
    parts = Parts(sides[0], known, sides[1])
    dy = parts.x.new_ones(5, sides[0], 8, 7)
    with NoDenseWeight(sides[0], 9 * sides[1], (*sides, 3, 3)):
        parts.products.forward(parts.x, parts.values, parts.bias)
        parts.products.input_gradient(dy, parts.values, parts.x.shape)
        parts.products.weight_gradient(parts.x, dy)

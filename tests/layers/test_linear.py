"""SparseLinear against nn.Linear with zeros in its weight."""

import pytest
import torch
from torch import nn

from rarefy.errors import BudgetError, PatternError
from rarefy.layers import SparseLinear, compressed

SHAPES = [(1, 1), (7, 45), (30, 30), (31, 61), (100, 3), (3, 100), (290, 64)]


def pair(shape, density=0.3, dtype=torch.float64, bias=True, slack=0.0):
    """A dense layer with zeros, and the compressed one."""
    torch.manual_seed(0)
    dense = nn.Linear(shape[1], shape[0], bias, dtype=dtype)
    mask = torch.rand(shape) < density
    mask[shape[0] // 2] = False
    mask[:, shape[1] // 2] = False
    with torch.no_grad():
        dense.weight *= mask
    sparse = compressed(dense, mask, slack)
    if bias:
        sparse.bias = nn.Parameter(dense.bias.detach().clone())
    return dense, sparse


def check(dense, sparse, x, **near):
    other = x.detach().clone().requires_grad_()
    x = x.detach().requires_grad_()
    y, wanted = sparse(x), dense(other)
    dy = torch.randn_like(y)
    y.backward(dy)
    wanted.backward(dy)
    torch.testing.assert_close(y, wanted, **near)
    torch.testing.assert_close(x.grad, other.grad, **near)
    found, values = sparse.weight_values.grad, sparse.topology.gather(dense.weight.grad)
    torch.testing.assert_close(found, values, **near)
    assert not found[sparse.count() :].any()
    if dense.bias is not None:
        torch.testing.assert_close(sparse.bias.grad, dense.bias.grad, **near)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("density", [0, 0.3, 1])
def test_it_is_what_the_dense_layer_is(shape, density):
    dense, sparse = pair(shape, density)
    check(dense, sparse, torch.randn(5, shape[1], dtype=torch.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_float32_by_the_kernels(shape):
    dense, sparse = pair(shape, dtype=torch.float32, slack=0.2)
    for tokens in (1, 3, 64, 130):
        dense.zero_grad()
        sparse.zero_grad()
        check(dense, sparse, torch.randn(tokens, shape[1]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sides", [(), (0,), (4,), (2, 3), (2, 0, 3), (1, 2, 2)], ids=str)
def test_leading_sides(sides):
    dense, sparse = pair((31, 61), dtype=torch.float32)
    check(dense, sparse, torch.randn(*sides, 61), rtol=1e-4, atol=1e-5)


def test_without_a_bias():
    dense, sparse = pair((31, 61), bias=False)
    assert sparse.bias is None
    check(dense, sparse, torch.randn(4, 61, dtype=torch.float64))


def test_nothing_lives():
    layer = SparseLinear(6, 4, mask=torch.zeros(4, 6, dtype=torch.bool))
    x = torch.randn(3, 6, requires_grad=True)
    y = layer(x)
    assert torch.equal(y, layer.bias.expand(3, 4))
    y.sum().backward()
    assert not x.grad.any()
    assert layer.weight_values.grad.shape == (0,)
    assert torch.equal(layer.bias.grad, torch.full((4,), 3.0))


def test_made_of_a_mask():
    mask = torch.rand(40, 50) < 0.2
    layer = SparseLinear(50, 40, mask=mask, dtype=torch.float64)
    assert torch.equal(layer.mask(), mask)
    assert layer.weight_values.dtype == layer.bias.dtype == torch.float64
    assert layer.weight_shape() == (40, 50)


def test_made_of_a_sparsity():
    generator = torch.Generator().manual_seed(3)
    layer = SparseLinear(50, 40, sparsity=0.9, slack=0.1, generator=generator)
    assert layer.count() == 200
    assert layer.weight_values.shape == (220,)
    assert not layer.weight_values[200:].any()
    again = SparseLinear(
        50, 40, sparsity=0.9, slack=0.1, generator=torch.Generator().manual_seed(3)
    )
    for one, other in zip(layer.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(layer.weight_topology, again.weight_topology)


def test_it_starts_as_large_as_the_dense_layer():
    torch.manual_seed(0)
    layer, dense = SparseLinear(100, 400, sparsity=0.5), nn.Linear(100, 400)
    for one, other in ((layer.weight_values, dense.weight), (layer.bias, dense.bias)):
        assert one.abs().max() <= 0.1
        assert one.std().item() == pytest.approx(other.std().item(), rel=0.05)


@pytest.mark.parametrize("words", [{}, {"mask": torch.ones(4, 6, dtype=bool), "sparsity": 0.5}])
def test_a_mask_or_a_sparsity(words):
    with pytest.raises(BudgetError, match="mask= or of a sparsity="):
        SparseLinear(6, 4, **words)


def test_an_input_of_another_size_is_refused():
    layer = SparseLinear(6, 4, sparsity=0.5)
    with pytest.raises(PatternError, match=r"shape \(3, 5\), and takes \(..., 6\)"):
        layer(torch.zeros(3, 5))


def test_its_words():
    layer = SparseLinear(50, 40, sparsity=0.9)
    assert repr(layer) == "SparseLinear(50, 40, bias=True, sparsity=0.9)"
    assert repr(layer.to("meta")) == "SparseLinear(50, 40, bias=True)"

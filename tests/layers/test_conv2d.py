"""SparseConv2d against nn.Conv2d with zeros in its weight."""

import pytest
import torch
from torch import nn

from rarefy.errors import PatternError
from rarefy.layers import SparseConv2d, compressed

FORMS = {
    "plain": {},
    "one_place": {"kernel_size": 1},
    "padded": {"padding": 1},
    "stride": {"stride": 2, "padding": (2, 1)},
    "strides": {"stride": (1, 3), "kernel_size": (2, 4)},
    "dilated": {"dilation": (2, 1), "padding": 2},
    "valid": {"padding": "valid", "stride": 2},
    "same": {"padding": "same", "dilation": 2},
    "same_uneven": {"padding": "same", "kernel_size": (2, 4)},
    "reflect": {"padding": (2, 1), "padding_mode": "reflect"},
    "replicate": {"padding": 1, "padding_mode": "replicate", "stride": 2},
    "circular": {"padding": "same", "kernel_size": (4, 3), "padding_mode": "circular"},
    "no_bias": {"bias": False},
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def pair(form, sides=(40, 5), dtype=torch.float64):
    """A dense layer with zeros, and the compressed one."""
    torch.manual_seed(0)
    dense = nn.Conv2d(sides[1], sides[0], **{"kernel_size": 3} | form, dtype=dtype)
    mask = torch.rand(dense.weight.shape) < 0.3
    mask[0] = False
    mask[:, 1] = False
    with torch.no_grad():
        dense.weight *= mask
    sparse = compressed(dense, mask, slack=0.1)
    if dense.bias is not None:
        sparse.bias = nn.Parameter(dense.bias.detach().clone())
    return dense, sparse


def check(dense, sparse, x, **near):
    other = x.detach().clone().requires_grad_()
    x = x.detach().requires_grad_()
    y, wanted = sparse(x), dense(other)
    dy = torch.randn_like(wanted)
    y.backward(dy)
    wanted.backward(dy)
    torch.testing.assert_close(y, wanted, **near)
    torch.testing.assert_close(x.grad, other.grad, **near)
    values = sparse.topology.gather(dense.weight.grad)
    torch.testing.assert_close(sparse.weight_values.grad, values, **near)
    assert not sparse.weight_values.grad[sparse.count() :].any()
    if dense.bias is not None:
        torch.testing.assert_close(sparse.bias.grad, dense.bias.grad, **near)


@forms
@pytest.mark.parametrize("sides", [(40, 5), (4, 2), (300, 2)], ids=str)
def test_it_is_what_the_dense_layer_is(form, sides):
    dense, sparse = pair(form, sides)
    x = torch.randn(3, sides[1], 9, 8, dtype=torch.float64)
    check(dense, sparse, x, rtol=1e-11, atol=1e-11)


@forms
def test_float32_by_the_kernels(form):
    dense, sparse = pair(form, dtype=torch.float32)
    for images, side in ((1, 9), (4, 17)):
        dense.zero_grad()
        sparse.zero_grad()
        check(dense, sparse, torch.randn(images, 5, side, 8), rtol=1e-3, atol=1e-3)


@forms
def test_one_image_without_a_batch(form):
    _, sparse = pair(form)
    x = torch.randn(5, 9, 8, dtype=torch.float64)
    assert torch.equal(sparse(x), sparse(x[None])[0])


def test_no_image():
    dense, sparse = pair({"padding": 1}, dtype=torch.float32)
    check(dense, sparse, torch.randn(0, 5, 9, 8))


def test_other_memory_orders():
    dense, sparse = pair({"padding": 1})
    x = torch.randn(2, 5, 9, 8, dtype=torch.float64).to(memory_format=torch.channels_last)
    torch.testing.assert_close(sparse(x), dense(x))


@forms
def test_made_of_a_mask_or_a_sparsity(form):
    dense, _ = pair(form)
    words = {"kernel_size": 3} | form
    mask = torch.rand(40, 5, *dense.kernel_size) < 0.3
    layer = SparseConv2d(5, 40, **words, mask=mask)
    assert torch.equal(layer.mask(), mask)
    drawn = SparseConv2d(5, 40, **words, sparsity=0.75)
    assert drawn.count() == round(0.25 * mask.numel())
    assert drawn.weight_values.abs().max() <= (5 * mask[0, 0].numel()) ** -0.5
    dense = dense.float()
    with torch.no_grad():
        dense.weight.copy_(layer.dense_weight())
        if dense.bias is not None:
            dense.bias.copy_(layer.bias)
    x = torch.randn(2, 5, 9, 8)
    torch.testing.assert_close(layer(x), dense(x), rtol=1e-4, atol=1e-5)


def test_padding_that_torch_refuses_is_refused():
    for words in ({"padding": "same", "stride": 2}, {"padding": "most"}):
        with pytest.raises(PatternError, match="padding="):
            SparseConv2d(2, 4, 3, sparsity=0.5, **words)


def test_images_that_do_not_fit_are_refused():
    layer = SparseConv2d(2, 4, 3, sparsity=0.5)
    with pytest.raises(PatternError, match=r"takes \(N, 2, height, width\)"):
        layer(torch.zeros(1, 3, 8, 8))
    with pytest.raises(PatternError, match="give larger images"):
        layer(torch.zeros(1, 2, 8, 2))


def test_its_words():
    layer = SparseConv2d(2, 4, 3, padding=1, padding_mode="reflect", sparsity=0.5)
    assert repr(layer) == (
        "SparseConv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), "
        "bias=True, padding_mode=reflect, sparsity=0.5)"
    )

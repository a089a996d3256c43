"""A dense layer becomes a compressed one, with all that hangs on it."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from rarefy.errors import BudgetError, PatternError, TargetError
from rarefy.layers import SparseConv2d, SparseLinear, compressed, supports


def linear(**words):
    return nn.Linear(6, 4, **words)


def everything(module):
    return torch.ones(module.weight.shape, dtype=torch.bool)


def test_the_weight_is_gathered_and_the_rest_carried_over():
    dense = linear(dtype=torch.float64)
    dense.eval()
    dense.weight.requires_grad_(False)
    dense.note = object()
    mask = torch.rand(4, 6) < 0.5
    sparse = compressed(dense, mask, slack=0.5)
    assert type(sparse) is SparseLinear
    assert torch.equal(sparse.dense_weight(), dense.weight * mask)
    assert sparse.bias is dense.bias
    assert not sparse.training
    assert not sparse.weight_values.requires_grad
    assert sparse.weight_values.dtype == torch.float64
    assert sparse.weight_values.is_leaf
    assert sparse.note is dense.note
    assert (sparse.in_features, sparse.out_features) == (6, 4)
    assert list(sparse.state_dict()) == ["weight_values", "bias", "weight_topology"]
    assert list(dense.state_dict()) == ["weight", "bias"]


def test_a_convolution_keeps_its_form():
    dense = nn.Conv2d(3, 5, (3, 1), stride=2, padding=(1, 0), dilation=2, padding_mode="reflect")
    mask = torch.rand(dense.weight.shape) < 0.5
    sparse = compressed(dense, mask)
    assert type(sparse) is SparseConv2d
    assert sparse.weight_shape() == dense.weight.shape
    assert torch.equal(sparse.mask(), mask)
    assert torch.equal(sparse.dense_weight(), dense.weight * mask)
    with torch.no_grad():
        dense.weight *= mask
    x = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(sparse(x), dense(x))


def test_hooks_go_with_it_and_can_still_be_removed():
    dense, called = linear(), []
    handle = dense.register_forward_hook(lambda *_: called.append("after"))
    dense.register_forward_pre_hook(lambda *_, **__: called.append("before"), with_kwargs=True)
    sparse = compressed(dense, everything(dense))
    sparse(torch.zeros(1, 6))
    assert called == ["before", "after"]
    handle.remove()
    sparse(torch.zeros(1, 6))
    assert called == ["before", "after", "before"]


def test_nothing_random_is_drawn():
    dense = linear()
    before = torch.get_rng_state()
    compressed(dense, everything(dense))
    assert torch.equal(torch.get_rng_state(), before)


def with_forward():
    module = linear()
    module.forward = lambda x: x
    return module


def with_buffer():
    module = linear()
    module.register_buffer("more", torch.zeros(1))
    return module


def with_unusual_weight():
    class Own(nn.Parameter):
        pass

    module = linear()
    module.weight = Own(module.weight.detach())
    return module


REFUSED = {
    "another": (lambda: nn.ConvTranspose2d(2, 2, 1), "ConvTranspose2d"),
    "subclass": (lambda: type("Own", (nn.Linear,), {})(6, 4), "it is a Own"),
    "lazy": (lambda: nn.LazyLinear(4), "LazyLinear"),
    "groups": (lambda: nn.Conv2d(4, 4, 3, groups=2), "2 groups"),
    "parametrized": (lambda: parametrizations.weight_norm(linear()), "Parametrized"),
    "pruned": (lambda: prune.l1_unstructured(linear(), "weight", 0.5), "parametrized"),
    "buffer": (with_buffer, "holds more"),
    "forward": (with_forward, "forward was replaced"),
    "class": (with_unusual_weight, "it is|is a Own"),
    "meta": (lambda: linear(device="meta"), "on meta"),
    "complex": (lambda: linear(dtype=torch.complex64), "complex64"),
    "empty": (lambda: nn.Linear(6, 0), "no entries"),
}


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_compressed_says_why(make, words):
    module = make()
    assert words.split("|")[-1] in supports(module)
    with pytest.raises(TargetError, match=r"cannot be compressed: .*skip="):
        compressed(module, torch.ones(4, 6, dtype=torch.bool))


def test_what_was_parametrized_once_can_be_compressed_again():
    module = parametrizations.weight_norm(linear())
    parametrize.remove_parametrizations(module, "weight")
    assert supports(module) is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_dtype_is_supported(dtype):
    module = linear(dtype=dtype)
    assert supports(module) is None
    assert compressed(module, everything(module)).weight_values.dtype == dtype


def test_a_mask_or_slack_that_does_not_fit_is_refused():
    dense = linear()
    with pytest.raises(PatternError, match=r"does not fit a weight of shape \(4, 6\)"):
        compressed(dense, everything(dense).t())
    with pytest.raises(BudgetError, match="slack=-1"):
        compressed(dense, everything(dense), slack=-1)

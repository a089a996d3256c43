"""What must see every single operation sees the plain layers, and gets the right answer."""

import pytest
import torch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from rarefy.acceleration._surroundings import ordinary


class Watching(TorchDispatchMode):
    """Passes everything on."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        del types
        return func(*args, **(kwargs or {}))


def test_plain_calls_are_ordinary():
    assert ordinary()
    with torch.no_grad(), torch.inference_mode():
        assert ordinary()


@pytest.mark.parametrize(
    "around",
    [lambda: torch.autocast("cpu", torch.bfloat16), Watching, forward_ad.dual_level],
    ids=["autocast", "dispatch mode", "forward-mode"],
)
def test_calls_with_something_around_them_are_not(around):
    with around():
        assert not ordinary()
    assert ordinary()


def test_transforms_see_an_extraordinary_call():
    seen = []
    torch.func.vmap(lambda x: seen.append(ordinary()) or x)(torch.ones(2))
    torch.func.grad(lambda x: seen.append(ordinary()) or x.sum())(torch.ones(2))
    assert seen == [False, False]


# What torch loads for forward-mode derivatives uses what torch deprecates.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_derivatives_of_an_accelerated_model_are_those_of_the_model(mlp, x, hastened):
    fast = hastened(mlp, x)
    tangent = torch.ones_like(x)
    assert torch.allclose(torch.func.vmap(fast)(x), mlp(x), atol=1e-5)
    for found, wanted in zip(
        torch.func.jvp(fast, (x,), (tangent,)), torch.func.jvp(mlp, (x,), (tangent,)), strict=True
    ):
        assert torch.allclose(found, wanted, atol=1e-5)
        assert wanted.abs().sum() > 0
    assert torch.allclose(torch.func.jacrev(fast)(x[0]), torch.func.jacrev(mlp)(x[0]), atol=1e-5)


def test_autocast_gives_its_own_dtype_and_a_counter_sees_the_layers(mlp, x, hastened):
    fast = hastened(mlp, x)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert fast(x).dtype is mlp(x).dtype is torch.bfloat16
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        fast(x)
    assert counter.get_total_flops() == 2 * 3 * (8 * 16 + 16 * 4)

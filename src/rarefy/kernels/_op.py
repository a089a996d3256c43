"""The chain as operators of torch, so that models that hold one can be compiled and exported.

``rarefy::chain(Tensor[] inputs, Tensor packed, str program) -> Tensor[]``, and for one in and one
out ``rarefy::chain1(Tensor x, Tensor packed, str program) -> Tensor``. All shapes follow from the
text and all values from the bytes: what torch copies, pickles or exports is the whole chain.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._C import _len_torch_dispatch_stack as len_torch_dispatch_stack
from torch._C._functorch import peek_interpreter_stack
from torch.autograd import forward_ad

from rarefy.kernels._plan import chains, run, run_one
from rarefy.kernels._runtime import address_of, no_gradient
from rarefy.kernels._twin import twin, twin_of_one

_LIBRARY = torch.library.Library("rarefy", "FRAGMENT")


def _refuse_gradient(inputs: Sequence[Tensor]) -> None:
    """Raise where a result without gradient would be silently wrong."""
    if torch.is_grad_enabled() and any(x.requires_grad for x in inputs):
        raise no_gradient()
    if forward_ad._current_level >= 0 and any(
        forward_ad.unpack_dual(x).tangent is not None for x in inputs
    ):
        raise no_gradient()


def _is_eager(packed: Tensor) -> bool:
    """Whether nobody follows the calls of operators: no tracer, no mode, no function transform."""
    return (
        type(packed) is Tensor
        and len_torch_dispatch_stack() == 0
        and peek_interpreter_stack() is None
        and forward_ad._current_level < 0
    )


# Below, the way down through the dispatcher is taken only where it can matter: it costs as much as
# all the rest of a call.


def _chain_checked(inputs: list[Tensor], packed: Tensor, program: str) -> list[Tensor]:
    if _is_eager(packed):
        addresses = [address_of(x) for x in inputs]
        chain = chains.get(packed, program) if all(addresses) else None
        if chain is not None:
            return chain.run_all_at(addresses, inputs)
    _refuse_gradient(inputs)
    with torch._C._AutoDispatchBelowAutograd():
        found: list[Tensor] = torch.ops.rarefy.chain.default(inputs, packed, program)
        return found


def _chain1_checked(x: Tensor, packed: Tensor, program: str) -> Tensor:
    if _is_eager(packed) and (address := address_of(x)):
        chain = chains.get(packed, program)
        if chain is not None:
            return chain.run_at(address, x.shape)
    _refuse_gradient((x,))
    with torch._C._AutoDispatchBelowAutograd():
        found: Tensor = torch.ops.rarefy.chain1.default(x, packed, program)
        return found


def _chain_fake(inputs: list[Tensor], packed: Tensor, program: str) -> list[Tensor]:
    del packed  # under tracing it has no bytes
    return twin(inputs, None, program)


def _chain1_fake(x: Tensor, packed: Tensor, program: str) -> Tensor:
    del packed
    return twin_of_one(x, None, program)


def _register(
    form: str,
    eager: Callable[..., Any],
    checked: Callable[..., Any],
    fake: Callable[..., Any],
) -> None:
    name = form.partition("(")[0]
    _LIBRARY.define(form, tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(name, eager, "CPU")
    _LIBRARY.impl(name, checked, "Autograd")
    torch.library.register_fake(f"rarefy::{name}", fake, lib=_LIBRARY)
    # The bytes hold float32: a call inside autocast computes in it as well.
    torch.library.register_autocast(f"rarefy::{name}", "cpu", torch.float32, lib=_LIBRARY)


_register(
    "chain(Tensor[] inputs, Tensor packed, str program) -> Tensor[]",
    run,
    _chain_checked,
    _chain_fake,
)
_register(
    "chain1(Tensor x, Tensor packed, str program) -> Tensor",
    run_one,
    _chain1_checked,
    _chain1_fake,
)

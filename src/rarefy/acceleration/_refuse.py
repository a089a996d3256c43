"""A gradient that reaches an accelerated model stops with the way out, instead of going missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rarefy.acceleration._surroundings import ordinary, traced_by_jit
from rarefy.errors import AttachError


class _Refuse(torch.autograd.Function):
    """Passes a tensor on; raises where a gradient comes back."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, token: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        del token
        ctx.mark_dirty(output)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # noqa: ANN401, ARG004 - torch's
        raise AttachError(
            "backward() reached an accelerated model, whose packed weights take no gradients. "
            'Train the model it was made from (rarefy.sparsify(..., storage="compressed") if '
            "memory is short) and accelerate it again; or, to train only what comes after it, "
            "call it under torch.no_grad()."
        )


def refuse_backward(
    module: nn.Module,
    output: Any,  # noqa: ANN401 - as the model's
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:  # noqa: ANN401 - as the model's
    """``output``, of which ``backward()`` raises with the way out.

    Where gradients are recorded, a model whose weights take none would answer with an error that
    does not say why, or would train what is behind it and silently not itself. Only fresh float
    tensors are marked; a model with frozen weights from the start is left as it is.
    """
    if not torch.is_grad_enabled() or torch.compiler.is_compiling() or traced_by_jit():
        return output
    if not vars(module).get("_rarefy_was_trainable") or not ordinary():
        return output
    foreign = {id(leaf) for leaf in torch.utils._pytree.tree_leaves((args, dict(kwargs)))}

    def mark(leaf: Any) -> Any:  # noqa: ANN401 - any output
        if not isinstance(leaf, Tensor) or not leaf.is_floating_point() or id(leaf) in foreign:
            return leaf
        if leaf.requires_grad or leaf._is_view() or isinstance(leaf, nn.Parameter):
            return leaf
        return _Refuse.apply(leaf, torch.empty(0, requires_grad=True))  # type: ignore[no-untyped-call]

    if isinstance(output, Tensor):
        return mark(output)
    return torch.utils._pytree.tree_map(mark, output)

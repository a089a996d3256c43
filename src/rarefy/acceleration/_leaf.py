"""Single layers: which modules can run sparse by themselves, and as what."""

from __future__ import annotations

import torch
from torch import nn

from rarefy.acceleration._piece import Layer, Param, Part, Piece
from rarefy.acceleration._sources import Recipe, Source
from rarefy.acceleration._swap import plain_class


def is_leaf(module: nn.Module) -> bool:
    """Whether the module is a Linear, a two-sided convolution or GPT-2's Conv1D, as torch made it.

    A class with a ``forward`` of its own, and a weight that is computed, are somebody else's.
    """
    kind = plain_class(module)
    plain = kind.forward in (nn.Linear.forward, nn.Conv2d.forward) or _is_conv1d(module)
    return plain and module._parameters.get("weight") is not None and "forward" not in vars(module)


def _is_conv1d(module: nn.Module) -> bool:
    kind = plain_class(module)
    return kind.__name__ == "Conv1D" and kind.__module__.startswith("transformers.")


def leaf_piece(module: nn.Module) -> Piece | str:
    """The layer as a step of a chain, or why there is none. Its graph inputs are left empty."""
    weight = module._parameters["weight"]
    if weight is None or weight.dtype is not torch.float32:
        return f"its weight is {None if weight is None else weight.dtype}; only float32 is packed"
    options: dict[str, object] = {}
    if isinstance(module, nn.Conv2d):
        why = _unfit(module)
        if why is not None:
            return why
        options = {"stride": tuple(module.stride), "pad": _pad(module)}
    turned = _is_conv1d(module)
    source = Source((), "_parameters", "weight")
    shape = tuple(weight.shape)[::-1] if turned else tuple(weight.shape)
    op = "conv" if isinstance(module, nn.Conv2d) else "linear"
    bias = module._parameters.get("bias")
    recipe = Recipe("floats", (Source((), "_parameters", "bias"),)) if bias is not None else None
    kind = "turned" if turned else "weight"
    part = Part(
        op,
        {"w": Param(Recipe(kind, (source,)), shape), "b": Param(recipe), **options},  # type: ignore[arg-type]
    )
    return Piece((), (part,), Layer("weight", source, turned, shape, op))


def _unfit(module: nn.Conv2d) -> str | None:
    if module.groups != 1:
        return f"groups={module.groups}: only convolutions with one group have a kernel"
    if tuple(module.dilation) != (1, 1):
        return "a dilated convolution has no sparse kernel"
    if module.padding_mode != "zeros":
        return f"padding_mode={module.padding_mode!r}: only zeros are padded"
    if module.padding == "same":
        odd = all(side % 2 for side in module.kernel_size)
        if tuple(module.stride) != (1, 1) or not odd:
            return "padding='same' that is not the same on both sides"
    return None


def _pad(module: nn.Conv2d) -> tuple[int, ...]:
    if module.padding == "valid":
        return (0, 0)
    if module.padding == "same":
        return tuple(side // 2 for side in module.kernel_size)
    return tuple(int(side) for side in module.padding)

"""What a chain can compute: one graph node as the steps of a program, or why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from rarefy.acceleration import _plain_pieces, _weight_pieces
from rarefy.acceleration._piece import Piece, Unfit, plain_float

_ATEN = torch.ops.aten


def piece_of(node: fx.Node, module: nn.Module) -> Piece | str:
    """The steps that ``node`` becomes, or the reason why it stays in torch.

    Args:
        node: A cleaned node, with the shape of its value in ``meta``.
        module: Holds the parameters that the graph names.
    """
    found = _KNOWN.get(node.target)
    if found is None or node.op != "call_function":
        return f"{getattr(node.target, '__name__', node.target)} has no step in a chain"
    if not plain_float(node):
        return "it does not give one float32 tensor"
    try:
        piece = found(node, module)
        for before in piece.inputs:
            if not isinstance(before, fx.Node) or not plain_float(before):
                raise Unfit("it reads something else than float32 tensors")
        return piece
    except Unfit as why:
        return str(why)


_KNOWN: dict[Any, Callable[[fx.Node, nn.Module], Piece]] = {
    _ATEN.linear.default: _weight_pieces.linear,
    _ATEN.addmm.default: _weight_pieces.addmm,
    _ATEN.conv2d.default: _weight_pieces.conv,
    _ATEN.conv2d.padding: _weight_pieces.conv,
    _ATEN.batch_norm.default: _weight_pieces.batch_norm,
    _ATEN.layer_norm.default: _weight_pieces.layer_norm,
    _ATEN.relu.default: _plain_pieces.alone("relu"),
    _ATEN.silu.default: _plain_pieces.alone("silu"),
    _ATEN.gelu.default: _plain_pieces.gelu,
    _ATEN.relu6.default: _plain_pieces.relu6,
    _ATEN.hardtanh.default: _plain_pieces.clamp("min_val", "max_val"),
    _ATEN.clamp.default: _plain_pieces.clamp("min", "max"),
    _ATEN.add.Tensor: _plain_pieces.both("add"),
    _ATEN.mul.Tensor: _plain_pieces.both("mul"),
    _ATEN.max_pool2d.default: _plain_pieces.max_pool,
    _ATEN.adaptive_avg_pool2d.default: _plain_pieces.mean,
    _ATEN.mean.dim: _plain_pieces.mean,
    _ATEN.flatten.using_ints: _plain_pieces.flatten,
    _ATEN.view.default: _plain_pieces.flatten,
    _ATEN.reshape.default: _plain_pieces.flatten,
}

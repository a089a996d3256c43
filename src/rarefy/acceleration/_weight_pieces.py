"""Layers and norms, the nodes that read parameters, as steps of a chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn

from rarefy.acceleration._clean import shape_of
from rarefy.acceleration._piece import Layer, Param, Part, Piece, Unfit, arguments, pair_of
from rarefy.acceleration._sources import Recipe, Source, source_of

_ATEN = torch.ops.aten


def _source(value: object, module: nn.Module) -> Source | None:
    """The parameter or buffer that is read, None where there is none."""
    if value is None:
        return None
    if not isinstance(value, fx.Node) or value.op != "get_attr":
        raise Unfit("a parameter of it is computed, not stored")
    found = source_of(module, str(value.target))
    if found is None or value.meta["val"].dtype is not torch.float32:
        raise Unfit("a parameter of it is not a float32 parameter or buffer of the model")
    return found


def _weight(value: object, module: nn.Module, op: str) -> Layer:
    turned = isinstance(value, fx.Node) and value.target is _ATEN.t.default
    inner: object = value
    if isinstance(value, fx.Node) and turned:
        inner = value.args[0]
    source = _source(inner, module)
    if source is None:
        raise Unfit("it has no weight")
    shape = tuple(source.tensor(module).shape)
    return Layer(source.name, source, turned, shape[::-1] if turned else shape, op)


def _layer(
    layer: Layer, bias: Source | None, x: fx.Node, options: dict[str, Any], module: nn.Module
) -> Piece:
    if bias is not None and tuple(bias.tensor(module).shape) != layer.shape[:1]:
        raise Unfit("its bias has another length than its outputs")
    recipe = Recipe("turned" if layer.turned else "weight", (layer.source,))
    part = Part(
        layer.op,
        {
            "w": Param(recipe, layer.shape),
            "b": Param(None if bias is None else Recipe("floats", (bias,))),
            **options,
        },
    )
    return Piece((x,), (part,), layer)


def linear(node: fx.Node, module: nn.Module) -> Piece:
    given = arguments(node)
    layer = _weight(given["weight"], module, "linear")
    return _layer(layer, _source(given["bias"], module), given["input"], {}, module)


def addmm(node: fx.Node, module: nn.Module) -> Piece:
    given = arguments(node)
    if given["beta"] != 1 or given["alpha"] != 1:
        raise Unfit("addmm with alpha or beta other than 1")
    weight = given["mat2"]
    already = isinstance(weight, fx.Node) and weight.target is _ATEN.t.default
    inner = weight.args[0] if already else weight
    plain = _weight(inner, module, "linear")
    turned = not already
    shape = plain.shape[::-1] if turned else plain.shape
    layer = Layer(plain.name, plain.source, turned, shape, "linear")
    return _layer(layer, _source(given["self"], module), given["mat1"], {}, module)


def conv(node: fx.Node, module: nn.Module) -> Piece:
    given = arguments(node)
    layer = _weight(given["weight"], module, "conv")
    if given["groups"] != 1:
        raise Unfit(f"groups={given['groups']}: only convolutions with one group have a kernel")
    if pair_of(given["dilation"]) != (1, 1):
        raise Unfit("a dilated convolution has no sparse kernel")
    if layer.turned or len(layer.shape) != 4 or len(shape_of(node)) != 4:
        raise Unfit("only batches of images are chained")
    stride, window = pair_of(given["stride"]), layer.shape[2:]
    pad = _pad(given["padding"], stride, window)
    options = {"stride": stride, "pad": pad}
    return _layer(layer, _source(given["bias"], module), given["input"], options, module)


def _pad(
    given: str | Sequence[int], stride: tuple[int, int], window: Sequence[int]
) -> tuple[int, int]:
    if given == "valid":
        return (0, 0)
    if given == "same":
        if stride != (1, 1) or window[0] % 2 == 0 or window[1] % 2 == 0:
            raise Unfit("padding='same' that is not the same on both sides")
        return (window[0] // 2, window[1] // 2)
    return pair_of(given)  # type: ignore[arg-type]  # the two words are done


def batch_norm(node: fx.Node, module: nn.Module) -> Piece:
    given = arguments(node)
    sources = [
        _source(given[name], module) for name in ("weight", "bias", "running_mean", "running_var")
    ]
    mean = sources[2]
    if given["training"] or mean is None or sources[3] is None:
        raise Unfit("it normalises by the batch's own statistics")
    # Running statistics change without a trace, but not without a step of this counter.
    counter = source_of(module, ".".join((*mean.path, "num_batches_tracked")))
    channels = mean.tensor(module).shape[0]
    recipe = Recipe("affine", (*sources, counter), channels, float(given["eps"]))
    return Piece((given["input"],), (Part("affine", {"s": Param(recipe, (channels,))}),))


def layer_norm(node: fx.Node, module: nn.Module) -> Piece:
    given = arguments(node)
    sides = list(given["normalized_shape"])
    if len(sides) != 1 or not isinstance(sides[0], int):
        raise Unfit("it normalises over more than the last side")
    sources = (_source(given["weight"], module), _source(given["bias"], module))
    recipe = Recipe("norm", sources, sides[0])
    options = {"p": Param(recipe, (sides[0],)), "eps": float(given["eps"])}
    return Piece((given["input"],), (Part("norm", options),))

"""Activations, sums, products, pooling and flattening as steps of a chain."""

from __future__ import annotations

from collections.abc import Callable

from torch import fx, nn

from rarefy.acceleration._clean import shape_of
from rarefy.acceleration._piece import Part, Piece, Unfit, arguments, pair_of, plain_float


def alone(op: str) -> Callable[[fx.Node, nn.Module], Piece]:
    def make(node: fx.Node, module: nn.Module) -> Piece:
        del module
        return Piece((node.args[0],), (Part(op),))  # type: ignore[arg-type]  # checked by piece_of

    return make


def gelu(node: fx.Node, module: nn.Module) -> Piece:
    del module
    op = "gelu_tanh" if arguments(node)["approximate"] == "tanh" else "gelu"
    return Piece((node.args[0],), (Part(op),))  # type: ignore[arg-type]  # checked by piece_of


def clamp(low: str, high: str) -> Callable[[fx.Node, nn.Module], Piece]:
    def make(node: fx.Node, module: nn.Module) -> Piece:
        del module
        given = arguments(node)
        bounds = {
            "lo": float("-inf") if given[low] is None else given[low],
            "hi": float("inf") if given[high] is None else given[high],
        }
        if not all(isinstance(bound, int | float) for bound in bounds.values()):
            raise Unfit("its bounds are computed")
        options = {key: float(bound) for key, bound in bounds.items()}
        if options["lo"] > options["hi"]:
            raise Unfit("its lower bound is above the upper one")
        return Piece((node.args[0],), (Part("clamp", options),))  # type: ignore[arg-type]

    return make


def relu6(node: fx.Node, module: nn.Module) -> Piece:
    del module
    return Piece((node.args[0],), (Part("clamp", {"lo": 0.0, "hi": 6.0}),))  # type: ignore[arg-type]


def both(op: str) -> Callable[[fx.Node, nn.Module], Piece]:
    def make(node: fx.Node, module: nn.Module) -> Piece:
        del module
        given = arguments(node)
        one, other = given["self"], given["other"]
        if given.get("alpha", 1) != 1:
            raise Unfit("a sum with a factor")
        if not isinstance(one, fx.Node) or not isinstance(other, fx.Node):
            raise Unfit("it combines a tensor with a number")
        if not (plain_float(one) and plain_float(other) and shape_of(one) == shape_of(other)):
            raise Unfit("it combines tensors of different shapes")
        return Piece((one, other), (Part(op),))

    return make


def max_pool(node: fx.Node, module: nn.Module) -> Piece:
    del module
    given = arguments(node)
    size = pair_of(given["kernel_size"])
    stride = pair_of(given["stride"]) if given["stride"] else size
    if pair_of(given["dilation"]) != (1, 1) or given["ceil_mode"] or len(shape_of(node)) != 4:
        raise Unfit("only plain pooling of batches of images is chained")
    options = {"size": size, "stride": stride, "pad": pair_of(given["padding"])}
    return Piece((given["self"],), (Part("max_pool", options),))


def mean(node: fx.Node, module: nn.Module) -> Piece:
    del module
    given = arguments(node)
    x = given["self"]
    rank = len(shape_of(x)) if isinstance(x, fx.Node) and plain_float(x) else 0
    if "dim" in given:
        sides = {side % rank for side in given["dim"] or ()} if rank else set()
        fits, keeps = sides == {2, 3} and given["dtype"] is None, bool(given["keepdim"])
    else:
        fits, keeps = list(given["output_size"]) == [1, 1], True
    if rank != 4 or not fits:
        raise Unfit("only the mean over height and width is chained")
    return Piece((x,), (Part("mean"),) if keeps else (Part("mean"), Part("flatten")))


def flatten(node: fx.Node, module: nn.Module) -> Piece:
    del module
    x = node.args[0]
    if not isinstance(x, fx.Node) or not plain_float(x):
        raise Unfit("it reads something else than float32 tensors")
    before, after = shape_of(x), shape_of(node)
    if len(after) != 2 or len(before) < 3 or before[0] != after[0]:
        raise Unfit("it changes more of the shape than flattening what follows the batch")
    return Piece((x,), (Part("flatten"),))

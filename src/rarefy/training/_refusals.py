"""What compressed storage cannot hold or do, said by name before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

from torch import Tensor, nn

from rarefy import scores
from rarefy.errors import AttachError, EvidenceError, PatternError, ScheduleError, TargetError
from rarefy.growth import Neighbours
from rarefy.targets import Target, unwrap
from rarefy.training._arrivals import by_chance, by_gradient
from rarefy.training._method import Method, title
from rarefy.training._tiles import tiles_of

_EACH = (scores.magnitude, scores.gradient, scores.taylor, scores.random)
"""Scores that look at each weight by itself."""

_MASKED = "Use storage='masked'."


class Compressing(Protocol):
    """What makes compressed layers; handed in, for layers are neighbours."""

    @property
    def wrapper(self) -> str | None:
        """What the model is wrapped in that holds its parameters; None where nothing does."""
        ...

    def supports(self, module: nn.Module) -> str | None:
        """Why a module has no compressed twin; None where it has one."""
        ...

    def compressed(self, module: nn.Module, mask: Tensor, slack: float) -> nn.Module:
        """The compressed twin of a dense module, which stays as it is."""
        ...


def refuse_method(method: Method, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a method that needs more than the living weights.

    Args:
        method: What the run follows.
        shapes: Groups, outputs, inputs, kernel of each weight.

    Raises:
        EvidenceError: It needs a dense average, or a rule of it looks at more than each weight.
        PatternError: It moves units that cannot be moved in a compressed weight.
    """
    growth = method.growth
    if "momentum" in growth.evidence:
        raise EvidenceError(
            f"{method.name} keeps a running average of dense gradients (growth={growth}), and so "
            "is not fully sparse: compressed storage has the living weights alone. Grow by "
            f"'gradient', 'random' or 'neighbours', or leave storage='masked'."
        )
    if growth.arrivals is None:
        return
    if not (by_chance(growth) or by_gradient(growth) or isinstance(growth, Neighbours)):
        raise EvidenceError(
            f"growth={title(growth.arrivals)} is not known to look at each gradient by itself, "
            "which is all that a compressed weight can show it. If it does, and asks for "
            f"'gradient' alone, say {title(growth.arrivals)}.elementwise = True. {_MASKED}"
        )
    if method.score not in _EACH and not getattr(method.score, "elementwise", False):
        raise EvidenceError(
            f"the score {title(method.score)} is not known to look at each weight by itself, "
            "which is all that a compressed weight can show it. If it does, say "
            f"{title(method.score)}.elementwise = True. {_MASKED}"
        )
    for name, shape in shapes.items():
        if tiles_of(method.pattern, shape) is None:
            raise PatternError(
                f"{method.name} moves units of {method.pattern} in {name}: in compressed storage "
                f"single weights, blocks and rows can move. {_MASKED}"
            )


def refuse_dense_start(name: str, *, starts_dense: bool) -> None:
    """Refuse a method whose weights are all there in the beginning.

    Raises:
        ScheduleError: It starts dense.
    """
    if starts_dense:
        raise ScheduleError(
            f"{name} starts dense and thins out while it trains, so there is nothing to compress "
            "yet: call rarefy.sparsify without storage=, train until the sparsity is reached, and "
            "then sparsifier = sparsifier.compress()."
        )


def refuse_layers(
    model: nn.Module, targets: Mapping[str, Target], compressing: Compressing
) -> dict[str, nn.Module]:
    """The layer of each weight; refused where one has no compressed twin.

    Raises:
        AttachError: A wrapper holds the model's parameters.
        TargetError: A weight cannot be compressed; it is named, and why.
    """
    if compressing.wrapper is not None:
        raise AttachError(
            f"the model is wrapped in {compressing.wrapper}, which holds on to the dense "
            "parameters: compress first, then wrap. Nothing was changed."
        )
    found = {}
    for name, target in targets.items():
        layer, parent = _layer(model, target.module)
        why = _why_not(model, target, layer, parent) or compressing.supports(layer)
        if why is not None:
            raise TargetError(
                f"{name} cannot be compressed: {why}. Leave it out with skip=[{name!r}], or keep "
                "storage='masked'. Nothing was changed."
            )
        found[name] = layer
    return found


def _layer(model: nn.Module, path: str) -> tuple[nn.Module, nn.Module | None]:
    module, parent = unwrap(model), None
    for part in path.split(".") if path else ():
        child = cast(nn.Module, module._modules[part])  # a weight was found in it
        module, parent = unwrap(child), module
    return module, parent


def _why_not(
    model: nn.Module, target: Target, layer: nn.Module, parent: nn.Module | None
) -> str | None:
    if parent is None:
        return "the model is this layer itself, and no module holds it: put it into a Sequential"
    if isinstance(parent, nn.TransformerEncoderLayer | nn.MultiheadAttention):
        return f"{type(parent).__name__} reads the weight of its layers past their forward"
    if any(getattr(each, "_orig_mod", None) is layer for each in unwrap(model).modules()):
        return "it is compiled by itself: compile after it is compressed, or the whole model"
    others = [path for path in target.aliases if _holder(model, path) is not layer]
    if others:
        return f"it is tied: {', '.join(target.aliases)} are one weight in several layers"
    if not target.name.endswith(".weight"):
        return f"it is no weight of a layer of its own but a part of a {type(layer).__name__}"
    return None


def _holder(model: nn.Module, name: str) -> nn.Module:
    return _layer(model, name.rpartition(".")[0])[0]

"""The user's own module with a fast lane: a subclass of its class, and ``__class__`` set to it.

Names, keys, ``isinstance``, signature, attributes and hooks stay; only ``forward`` has another way
to go first. Copies and pickles come back swapped.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rarefy.acceleration._lanes import NO, Lane
from rarefy.acceleration._lean import LeanWeight
from rarefy.acceleration._packs import BUFFER
from rarefy.acceleration._refuse import refuse_backward
from rarefy.errors import AttachError

LANE = "_rarefy_lane"
"""Where a module holds its lane."""
RECORD = "_rarefy_record"
"""Where the root holds what :func:`rarefy.accelerate` found and did."""

_WAY_OUT = (
    "An accelerated model is for inference: its weights are packed. Train the model it was made "
    'from, with rarefy.sparsify(..., storage="compressed") if memory is short, and call '
    "rarefy.accelerate again."
)
_lock = threading.Lock()
_classes: dict[tuple[type[nn.Module], bool], type[nn.Module]] = {}


def swap(module: nn.Module, lane: Lane | None, *, root: bool = False) -> None:
    """Give ``module`` a lane, or none; as the root, also ``explain()`` and ``record``."""
    vars(module)[LANE] = lane
    module.__class__ = swapped(plain_class(module), root=root or is_root(module))
    if lane is not None:
        module._load_state_dict_post_hooks.setdefault(_HOOK, _repack)


def lane_of(module: nn.Module) -> Lane | None:
    """The module's lane."""
    lane: Lane | None = vars(module).get(LANE)
    return lane


def plain_class(module: nn.Module) -> type[nn.Module]:
    """The class that the user gave the module."""
    kind: type[nn.Module] = getattr(type(module), "_rarefy_kind", type(module))
    return kind


def is_root(module: nn.Module) -> bool:
    """Whether :func:`rarefy.accelerate` returned this very module, or a copy of it."""
    return getattr(type(module), "_rarefy_root", False)


def swapped(kind: type[nn.Module], *, root: bool) -> type[nn.Module]:
    """The subclass of ``kind`` whose instances have lanes; made once."""
    with _lock:
        if (kind, root) not in _classes:
            body: dict[str, Any] = {**_body(kind), "_rarefy_kind": kind, "_rarefy_root": root}
            if root:
                body.update(_root_body(kind, body["forward"]))
            body.update(
                __module__=kind.__module__, __qualname__=kind.__qualname__, __doc__=kind.__doc__
            )
            made: Any = type(kind)  # the class of the class: its own, where it has one
            _classes[kind, root] = made(kind.__name__, (kind,), body)
        return _classes[kind, root]


def _body(kind: type[nn.Module]) -> dict[str, Any]:
    """What every swapped class has beside what it inherits."""

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the model's
        lane = self.__dict__[LANE]
        if lane is not None:
            output = lane.call(self, args, kwargs)
            if output is not NO:
                return output
        return kind.forward(self, *args, **kwargs)

    def set_state(self: nn.Module, state: Mapping[str, Any]) -> None:
        kind.__setstate__(self, state)
        lane = lane_of(self)
        if lane is not None:
            lane.revive(self)

    def apply(self: nn.Module, fn: Any, recurse: bool = True) -> nn.Module:  # noqa: ANN401 - torch's
        return _converted(self, kind, fn, recurse)

    return {
        "forward": _looking_like(kind, forward),
        "__reduce_ex__": _reduce if kind.__reduce__ is object.__reduce__ else _as_plain,
        "__setstate__": set_state,
        "_apply": apply,
    }


def _looking_like(kind: type[nn.Module], forward: Callable[..., Any]) -> Callable[..., Any]:
    forward.__signature__ = inspect.signature(kind.forward)  # type: ignore[attr-defined]
    forward.__doc__ = kind.forward.__doc__
    return forward


def _reduce(module: nn.Module, protocol: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as the base has it
    del protocol
    return _empty, (plain_class(module), is_root(module)), _state(module)


def _as_plain(module: nn.Module, protocol: Any) -> Any:  # noqa: ANN401 - as the base has it
    """Of a class with a way of its own to be pickled, as torch.fx's: the plain model, no lanes."""
    fast = module.__class__
    module.__class__ = plain_class(module)
    try:
        return module.__reduce_ex__(protocol)
    finally:
        module.__class__ = fast


def _converted(module: nn.Module, kind: type[nn.Module], fn: Any, recurse: bool) -> nn.Module:  # noqa: ANN401
    """What ``.to()`` and its like do, with packed weights made dense first.

    Where it changes nothing, as ``.to("cpu")``, they are packed again.
    """
    parameters: dict[str, Any] = module._parameters
    lean = {n: p for n, p in parameters.items() if isinstance(p, LeanWeight)}
    for name, parameter in lean.items():
        parameters[name] = nn.Parameter(parameter.dense().clone(), requires_grad=False)
    kind._apply(module, fn, recurse)
    for name, parameter in lean.items():
        now = parameters[name]
        if now is not None and now.is_cpu and _same_bits(now.detach(), parameter.dense()):
            parameters[name] = parameter
    return module


def _same_bits(one: Tensor, other: Tensor) -> bool:
    if one.dtype is not torch.float32 or one.shape != other.shape:
        return False
    return torch.equal(one.contiguous().view(torch.int32), other.view(torch.int32))


def _root_body(kind: type[nn.Module], fast: Any) -> dict[str, Any]:  # noqa: ANN401 - its forward
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the model's
        return refuse_backward(self, fast(self, *args, **kwargs), args, kwargs)

    def train(self: nn.Module, mode: bool = True) -> nn.Module:
        if mode:
            raise AttachError(f"this model cannot be put into training mode. {_WAY_OUT}")
        return kind.train(self, mode)

    def requires_grad_(self: nn.Module, requires_grad: bool = True) -> nn.Module:
        if requires_grad:
            raise AttachError(f"the weights of this model take no gradients. {_WAY_OUT}")
        return kind.requires_grad_(self, requires_grad)

    def explain(self: nn.Module, *, break_even: bool = False) -> Any:  # noqa: ANN401 - see below
        """What runs sparse, how fast, and why the rest does not; ``print`` it.

        With ``break_even`` each layer is also timed at other densities, to find where sparse
        begins to win. See :class:`rarefy.acceleration.Explanation`.
        """
        from rarefy.acceleration._explain import explanation

        return explanation(self, break_even=break_even)

    def record(self: nn.Module) -> dict[str, Any]:
        """What was done and why not, as plain data."""
        found: dict[str, Any] = self.__dict__[RECORD]
        return found

    return {
        "forward": _looking_like(kind, forward),
        "train": train,
        "requires_grad_": requires_grad_,
        "explain": explain,
        "record": property(record),
    }


def _empty(kind: type[nn.Module], root: bool) -> nn.Module:
    # Two steps, so that a guard that refers back to the module finds it made.
    fresh = swapped(kind, root=root)
    return fresh.__new__(fresh)


def _state(module: nn.Module) -> Any:  # noqa: ANN401 - whatever the class keeps
    state = module.__getstate__()
    if isinstance(state, dict) and isinstance(state.get("_buffers"), dict):
        # Packed bytes are made again from the weights: smaller, and nothing to trust.
        kept = {n: b for n, b in state["_buffers"].items() if not n.startswith(BUFFER)}
        transient = {n for n in state["_non_persistent_buffers_set"] if not n.startswith(BUFFER)}
        state = {**state, "_buffers": kept, "_non_persistent_buffers_set": transient}
    return state


_HOOK = -6173
"""Our key among a module's hooks on load_state_dict; torch's own keys are not negative."""


def _repack(module: nn.Module, incompatible: object) -> None:
    del incompatible
    lane = lane_of(module)
    if lane is not None and lane.packs.plans:
        lane.packs.repack(module)

"""A module's computation as a graph of ATen operations, by ``torch.export``, non-strict."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from rarefy.acceleration._arguments import Argument, Constant, Opaque, TensorLike
from rarefy.acceleration._conditions import Condition, Unreadable, conditions
from rarefy.acceleration._deadline import Deadline, TooSlow

_SECONDS = 15.0
"""Limit for one attempt; shapes in symbols can take minutes."""


class Uncapturable(Exception):  # noqa: N818 - ends as one line of explain(), never reaches users
    """Why a module has no graph."""


@dataclass(slots=True)
class Traced:
    """A module's computation."""

    graph: fx.Graph
    """Placeholders are the arguments in order; ``get_attr`` nodes name parameters and buffers."""
    constants: dict[str, torch.Tensor]
    """Tensors that the code made while it was traced, by the name that the graph uses."""
    arguments: dict[str, Argument]
    """As they were traced, by name, in order; batches of one are doubled."""
    conditions: tuple[Condition, ...]
    """What the graph assumes of sizes."""
    pinned: dict[str, tuple[int | None, ...]]
    """For each tensor argument the sizes that must be as they were; None where any will do."""
    output: Any
    """How the outputs are put together: a TreeSpec."""


def trace(module: nn.Module, arguments: Mapping[str, Argument]) -> Traced:
    """The graph of ``module`` called with such arguments.

    Sizes of the first two sides stay open (of the first alone where there are four or more), so
    that other batches and lengths run it too. A batch of one is doubled first: a size of one
    would be taken for a constant.

    Raises:
        Uncapturable: The reason, in words for the user.
    """
    for name, argument in arguments.items():
        if isinstance(argument, Opaque):
            raise Uncapturable(
                f"its argument {name} is a {argument.type}; only tensors, numbers, strings and "
                "None are captured"
            )
    doubled = _doubled(arguments)
    try:
        return _attempt(module, doubled, open_sides=2)
    except (TooSlow, Unreadable):
        # Fewer symbols, fewer thoughts about them.
        try:
            return _attempt(module, doubled, open_sides=1)
        except (TooSlow, Unreadable) as error:
            raise Uncapturable(f"its sizes are hard to reason about: {error}") from error


def _doubled(arguments: Mapping[str, Argument]) -> dict[str, Argument]:
    firsts = {a.shape[0] for a in arguments.values() if isinstance(a, TensorLike) and a.shape}
    if firsts != {1}:
        return dict(arguments)
    return {
        name: TensorLike((2, *a.shape[1:]), a.dtype) if isinstance(a, TensorLike) and a.shape else a
        for name, a in arguments.items()
    }


def _attempt(module: nn.Module, arguments: dict[str, Argument], open_sides: int) -> Traced:
    from torch.export import Dim, export

    given: dict[str, Any] = {}
    open_dims: dict[str, Any] = {}
    for name, argument in arguments.items():
        if isinstance(argument, TensorLike):
            given[name] = argument.example()
            sides = range(min(open_sides if len(argument.shape) <= 3 else 1, len(argument.shape)))
            open_dims[name] = dict.fromkeys(sides, Dim.AUTO)
        elif isinstance(argument, Constant):
            given[name] = argument.value
            open_dims[name] = None
    try:
        with _quietly(), Deadline(_SECONDS):
            shapes = _by_parameter(module, open_dims)
            program = export(module, (), given, dynamic_shapes=shapes, strict=False)
            inner = program.module(check_guards=False)
    except TooSlow:
        raise
    except Exception as error:
        late = _cause(error, TooSlow)
        if late is not None:
            raise late from error
        raise Uncapturable(_first_line(error)) from error
    if program.graph_signature.buffers_to_mutate:
        names = ", ".join(sorted(program.graph_signature.buffers_to_mutate.values()))
        raise Uncapturable(f"it writes into its buffers ({names}), which captured code would not")
    graph = inner.graph
    tensors = {n: a for n, a in arguments.items() if isinstance(a, TensorLike)}
    nodes = dict(zip(arguments, (n for n in graph.nodes if n.op == "placeholder"), strict=True))
    return Traced(
        graph,
        _constants(module, inner, graph),
        arguments,
        conditions(getattr(program, "_guards_code", ())),
        {name: _pinned(nodes[name].meta["val"].shape) for name in tensors},
        program.call_spec.out_spec,
    )


def _by_parameter(module: nn.Module, open_dims: dict[str, Any]) -> dict[str, Any]:
    """What ``**kwargs`` takes stands under its name."""
    parameters = inspect.signature(type(module).forward).parameters.values()
    tail = [p.name for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD]
    named = {p.name for p in parameters}
    found = {name: dims for name, dims in open_dims.items() if name in named}
    rest = {name: dims for name, dims in open_dims.items() if name not in named}
    return {**found, tail[0]: rest} if tail and rest else {**found, **rest}


def _constants(module: nn.Module, inner: nn.Module, graph: fx.Graph) -> dict[str, torch.Tensor]:
    """Tensors of the graph that the module itself does not have."""
    found: dict[str, torch.Tensor] = {}
    for node in graph.nodes:
        if node.op != "get_attr" or _has(module, node.target):
            continue
        value = inner
        for part in node.target.split("."):
            value = getattr(value, part)
        if not isinstance(value, torch.Tensor):
            raise Uncapturable(
                "part of it runs in a region of its own (autocast, a loop, a branch)"
            )
        found[node.target] = value.detach().clone()
    return found


def _has(module: nn.Module, name: str) -> bool:
    *path, key = name.split(".")
    for part in path:
        inner = module._modules.get(part)
        if inner is None:
            return False
        module = inner
    return module._parameters.get(key) is not None or module._buffers.get(key) is not None


def whole(size: int | torch.SymInt) -> int | None:
    """The size where it is fixed; None where it is open.

    A fixed size can look open: a symbol that turned out to be seven prints 7 and is no int.
    """
    if isinstance(size, int):
        return size
    return size.node.maybe_as_int()  # type: ignore[no-any-return]  # torch's


def _pinned(shape: torch.Size) -> tuple[int | None, ...]:
    return tuple(whole(size) for size in shape)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """No gradients, no fused attention that hides its layers, no chatter about either."""
    fused = torch.backends.mha.get_fastpath_enabled()
    loud = logging.root.manager.disable
    torch.backends.mha.set_fastpath_enabled(False)
    logging.disable(logging.CRITICAL)
    try:
        # A failure prints the whole graph so far; its first line is in explain().
        with (
            torch.no_grad(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(loud)
        torch.backends.mha.set_fastpath_enabled(fused)


def _cause(error: BaseException | None, kind: type[Exception]) -> BaseException | None:
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0] if lines else ""
    return f"tracing raised {type(error).__name__}: {said[:160]}".rstrip(": ")

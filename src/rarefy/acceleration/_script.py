"""Captured code as plain data: one operation a line, with registers for what passes between them.

It can be copied, pickled and compared, and becomes a function with :func:`compiled`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from rarefy.acceleration._order import Item
from rarefy.acceleration._trace import Uncapturable


@dataclass(frozen=True, slots=True)
class Ref:
    """A register: the n-th input, or the result of a line after them."""

    number: int


@dataclass(frozen=True, slots=True)
class Line:
    """One operation.

    ``target`` is an operation such as ``aten.linear.default``, a function of ``operator`` such as
    ``operator.getitem``, ``attribute`` (a parameter or buffer, by its name), ``constant`` (a
    tensor that the code made while it was traced, by its name), or ``chain`` (its number and the
    list of its inputs).
    """

    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Script:
    """The lines, and what leaves."""

    inputs: int
    """How many arguments there are: the first registers."""
    lines: tuple[Line, ...]
    outputs: Any
    """Registers and plain values, in lists as the code returned them."""


@dataclass(frozen=True, slots=True)
class Call:
    """A chain in place of the nodes of a region."""

    number: int
    inputs: Sequence[fx.Node]
    outputs: Sequence[fx.Node]


def script(
    items: Sequence[Item],
    calls: Mapping[tuple[fx.Node, ...], Call],
    inputs: Sequence[fx.Node],
    outputs: Any,  # noqa: ANN401 - what an fx output node holds
) -> Script:
    """The items as lines; what nobody reads is left out.

    Args:
        items: Nodes, and regions that ``calls`` tells the chains of, in an order that can run.
        calls: By the nodes of the region.
        inputs: The nodes that are arguments.
        outputs: What leaves: nodes in any structure of lists and tuples.

    Raises:
        Uncapturable: An operation that cannot be told by its name.
    """
    needed = _needed(items, calls, outputs)
    writer = _Writer(inputs)
    for item in items:
        if isinstance(item, tuple):
            writer.chain(calls[item])
        elif item in needed and item.op not in ("placeholder", "output"):
            writer.node(item)
    return Script(len(inputs), tuple(writer.lines), writer.told(outputs))


def _needed(items: Sequence[Item], calls: Mapping[Any, Call], outputs: Any) -> set[fx.Node]:  # noqa: ANN401
    from rarefy.acceleration._clean import writes

    needed: set[fx.Node] = set()
    fx.map_arg(outputs, needed.add)
    for item in reversed(items):
        if isinstance(item, tuple):
            needed.update(calls[item].inputs)
        elif item in needed or writes(item):
            needed.update((item, *item.all_input_nodes))
    return needed


class _Writer:
    def __init__(self, inputs: Sequence[fx.Node]) -> None:
        self.lines: list[Line] = []
        self._registers = {node: Ref(number) for number, node in enumerate(inputs)}
        self._made = len(inputs)

    def node(self, node: fx.Node) -> None:
        if node.op == "get_attr":
            line = Line("attribute", (str(node.target),))
        elif node.op == "call_function":
            line = Line(
                _name_of(node.target),
                tuple(self.told(value) for value in node.args),
                {key: self.told(value) for key, value in node.kwargs.items()},
            )
        else:
            raise Uncapturable(f"it calls {node.target}, which is no plain operation")
        self._registers[node] = self._write(line)

    def chain(self, call: Call) -> None:
        inputs = [self._registers[node] for node in call.inputs]
        result = self._write(Line("chain", (call.number, inputs)))
        for place, node in enumerate(call.outputs):
            self._registers[node] = self._write(Line("operator.getitem", (result, place)))

    def told(self, value: Any) -> Any:  # noqa: ANN401 - any argument
        if isinstance(value, fx.Node):
            return self._registers[value]
        if isinstance(value, tuple | list):
            return type(value)(self.told(part) for part in value)
        if isinstance(value, slice):
            return slice(self.told(value.start), self.told(value.stop), self.told(value.step))
        if isinstance(value, _PLAIN):
            return value
        raise Uncapturable(f"an operation takes a {type(value).__name__}, which cannot be stored")

    def _write(self, line: Line) -> Ref:
        self.lines.append(line)
        self._made += 1
        return Ref(self._made - 1)


_PLAIN = (
    int,
    float,
    complex,
    str,
    type(None),
    torch.dtype,
    torch.device,
    torch.layout,
    torch.memory_format,
)


def _name_of(target: Any) -> str:  # noqa: ANN401 - any callable
    if isinstance(target, torch._ops.OpOverload):
        return f"{target.namespace}.{target._opname}.{target._overloadname}"
    name = getattr(target, "__name__", "")
    for module, members in (("operator", vars(operator)), ("torch", vars(torch))):
        if members.get(name) is target and (module == "operator" or name.startswith("sym_")):
            return f"{module}.{name}"
    raise Uncapturable(f"it calls {name or target}, which is no plain operation")


def operation(name: str) -> Callable[..., Any]:
    """The function that a line calls by this name, such as ``aten.linear.default``.

    Raises:
        Uncapturable: There is none.
    """
    first, *rest = name.split(".")
    try:
        if first == "operator" and len(rest) == 1:
            return getattr(operator, rest[0])  # type: ignore[no-any-return]
        if first == "torch" and len(rest) == 1 and rest[0].startswith("sym_"):
            return getattr(torch, rest[0])  # type: ignore[no-any-return]
        packet = getattr(getattr(torch.ops, first), rest[0])
        return getattr(packet, rest[1])  # type: ignore[no-any-return]
    except (AttributeError, IndexError) as error:
        raise Uncapturable(f"there is no operation {name!r} here") from error

"""A script as a Python function: straight-line code whose names are all our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rarefy.acceleration._script import Line, Ref, Script, operation
from rarefy.acceleration._sources import source_of

ChainCall = Callable[[Any, int, list[Any]], list[Any]]
"""Runs a chain: the module, its number, its inputs."""


def compiled(script: Script, module: Any, chain: ChainCall) -> Callable[..., Any]:  # noqa: ANN401
    """``run(module, *inputs)``, which gives the script's outputs.

    Registers are dropped after they are read for the last time. The text of the function holds
    nothing of the script but numbers: operations, names and constants are values beside it.

    Args:
        script: What to run.
        module: Tells whether a name is a parameter or a buffer; any module of the same make can
            be run afterwards.
        chain: Runs the chains.
    """
    writer = _Writer(script, module, chain)
    names = [f"v{number}" for number in range(script.inputs)]
    text = [f"def run(module, {', '.join(names)}):" if names else "def run(module):"]
    for place, line in enumerate(script.lines):
        number = script.inputs + place
        text.append(f"    v{number} = {writer.call(line)}")
        dead = writer.last.get(place, [])
        if dead:
            text.append(f"    {' = '.join(f'v{n}' for n in dead)} = None")
    text.append(f"    return {writer.told(script.outputs)}")
    space: dict[str, Any] = writer.names
    code = compile("\n".join(text), "<rarefy: captured>", "exec")
    exec(code, space)  # our own text, see above
    run: Callable[..., Any] = space["run"]
    return run


class _Writer:
    def __init__(self, script: Script, module: Any, chain: ChainCall) -> None:  # noqa: ANN401
        self.names: dict[str, Any] = {"chain": chain}
        self._known: dict[str, str] = {}
        self._module = module
        self.last = _last_reads(script)

    def call(self, line: Line) -> str:
        if line.target == "attribute":
            return self._attribute(line.args[0])
        arguments = [self.told(value) for value in line.args]
        if line.target == "chain":
            return f"chain(module, {', '.join(arguments)})"
        arguments += [f"{_word(key)}={self.told(value)}" for key, value in line.kwargs.items()]
        return f"{self._named(line.target, operation(line.target))}({', '.join(arguments)})"

    def told(self, value: Any) -> str:  # noqa: ANN401 - any argument
        if isinstance(value, Ref):
            return f"v{value.number}"
        if value is None or type(value) in (bool, int):
            return repr(value)
        if isinstance(value, list):
            return f"[{', '.join(self.told(part) for part in value)}]"
        if isinstance(value, tuple):
            return f"({''.join(self.told(part) + ', ' for part in value)})"
        if isinstance(value, slice):
            return f"slice({self.told([value.start, value.stop, value.step])[1:-1]})"
        return self._named(f"constant {type(value).__name__} {value!r}", value)

    def _attribute(self, name: str) -> str:
        source = source_of(self._module, name)
        # Straight to the dictionaries: each dot of a dotted name would cost a microsecond.
        if source is None:
            constants = self._named("constants", "_rarefy_constants")
            return f"getattr(module, {constants})[{self._named(f'name {name}', name)}]"
        path = "".join(f"._modules[{self._named(f'name {p}', p)}]" for p in source.path)
        return f"module{path}.{source.table}[{self._named(f'name {source.key}', source.key)}]"

    def _named(self, what: str, value: Any) -> str:  # noqa: ANN401 - any value
        if what not in self._known:
            self._known[what] = f"k{len(self._known)}"
            self.names[self._known[what]] = value
        return self._known[what]


def _word(key: str) -> str:
    if not key.isidentifier():
        raise ValueError(f"{key!r} is no name of an argument")
    return key


def _last_reads(script: Script) -> dict[int, list[int]]:
    """Registers that are read for the last time, by the line that reads them."""
    last: dict[int, int] = {}
    for place, line in enumerate(script.lines):
        for number in _refs([line.args, line.kwargs]):
            last[number] = place
    leaving = set(_refs(script.outputs))
    dead: dict[int, list[int]] = {}
    for number, place in last.items():
        if number not in leaving:
            dead.setdefault(place, []).append(number)
    return dead


def _refs(value: Any) -> list[int]:  # noqa: ANN401 - any argument
    if isinstance(value, Ref):
        return [value.number]
    if isinstance(value, list | tuple):
        return [number for part in value for number in _refs(part)]
    if isinstance(value, Mapping):
        return [number for part in value.values() for number in _refs(part)]
    if isinstance(value, slice):
        return _refs([value.start, value.stop, value.step])
    return []

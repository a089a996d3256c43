"""Captured code as JSON data and back, with everything checked on the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from rarefy.acceleration._allowed import allowed
from rarefy.acceleration._script import Line, Ref, Script
from rarefy.errors import FileError

DTYPES = {
    name: getattr(torch, name)
    for name in "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()  # noqa: SIM905
}


class Unstorable(Exception):  # noqa: N818 - decides between two ways to store; users do not meet it
    """A value of captured code that a file cannot hold."""


def told(value: Any) -> Any:  # noqa: ANN401 - any argument of an operation
    """An argument as data.

    Raises:
        Unstorable: It is of no known kind.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    for kind, tag, plain in _TOLD:
        if isinstance(value, kind):
            return {tag: plain(value)}
    raise Unstorable(type(value).__name__)


_TOLD: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
    (Ref, "r", lambda v: v.number),
    (float, "f", repr),
    (list, "l", lambda v: [told(part) for part in v]),
    (tuple, "t", lambda v: [told(part) for part in v]),
    (slice, "s", lambda v: [told(part) for part in (v.start, v.stop, v.step)]),
    (torch.dtype, "d", lambda v: str(v).removeprefix("torch.")),
    (torch.device, "v", str),
    (torch.layout, "y", lambda v: str(v).removeprefix("torch.")),
    (torch.memory_format, "m", lambda v: str(v).removeprefix("torch.")),
)


def read(data: Any) -> Any:  # noqa: ANN401 - any argument of an operation
    """The argument that the data tell.

    Raises:
        FileError: They tell none.
    """
    if data is None or type(data) in (bool, int, str):
        return data
    if isinstance(data, dict) and len(data) == 1:
        tag, inner = next(iter(data.items()))
        try:
            return _READ[tag](inner)
        except (KeyError, TypeError, ValueError) as error:
            raise damaged("an argument is of no known kind") from error
    raise damaged("an argument is of no known kind")


def _one_of(table: Mapping[str, Any]) -> Callable[[Any], Any]:
    return lambda name: table[name]


_READ: dict[str, Callable[[Any], Any]] = {
    "r": lambda v: Ref(whole(v)),
    "f": float,
    "l": lambda v: [read(part) for part in v],
    "t": lambda v: tuple(read(part) for part in v),
    "s": lambda v: slice(*[read(part) for part in v]),
    "d": _one_of(DTYPES),
    "v": _one_of({"cpu": torch.device("cpu")}),
    "y": _one_of({"strided": torch.strided}),
    "m": _one_of(
        {
            "contiguous_format": torch.contiguous_format,
            "preserve_format": torch.preserve_format,
            "channels_last": torch.channels_last,
        }
    ),
}


def whole(value: Any, most: int = 1 << 40) -> int:  # noqa: ANN401 - from a file
    """The value, a whole number from 0 to ``most``.

    Raises:
        FileError: It is none.
    """
    if type(value) is not int or not 0 <= value <= most:
        raise damaged("a number is out of its range")
    return value


def script_data(script: Script) -> dict[str, Any]:
    """Captured code as data.

    Raises:
        Unstorable: It has an operation or a value that a file cannot hold.
    """
    for line in script.lines:
        if not allowed(line.target):
            raise Unstorable(line.target)
    lines = [
        [line.target, [told(v) for v in line.args], {k: told(v) for k, v in line.kwargs.items()}]
        for line in script.lines
    ]
    return {"inputs": script.inputs, "lines": lines, "outputs": told(script.outputs)}


def script_of(data: Mapping[str, Any], chains: int) -> Script:
    """The code, every operation of it allowed and every register made before it is read.

    Raises:
        FileError: It is not such code.
    """
    inputs = whole(data["inputs"], 1000)
    lines: list[Line] = []
    for target, args, kwargs in data["lines"]:
        made = inputs + len(lines)
        values = tuple(read(v) for v in args)
        options = {_identifier(k): read(v) for k, v in kwargs.items()}
        if not isinstance(target, str) or not allowed(target):
            raise damaged(f"it has the operation {str(target)[:60]!r}, which files may not have")
        _check_line(target, values, chains)
        _check_refs([values, options], made)
        lines.append(Line(target, values, options))
    outputs = read(data["outputs"])
    _check_refs(outputs, inputs + len(lines))
    if not isinstance(outputs, list):
        raise damaged("its outputs are no list")
    return Script(inputs, tuple(lines), outputs)


def _check_line(target: str, values: tuple[Any, ...], chains: int) -> None:
    if target == "attribute" and not (len(values) == 1 and isinstance(values[0], str)):
        raise damaged("a parameter has no name")
    if target == "chain" and not (
        len(values) == 2
        and type(values[0]) is int
        and 0 <= values[0] < chains
        and isinstance(values[1], list)
    ):
        raise damaged("it calls a chain that is not there")


def _check_refs(value: Any, made: int) -> None:  # noqa: ANN401 - any argument
    if isinstance(value, Ref):
        if value.number >= made:
            raise damaged("a register is read before it is made")
    elif isinstance(value, list | tuple):
        for part in value:
            _check_refs(part, made)
    elif isinstance(value, dict):
        _check_refs(list(value.values()), made)
    elif isinstance(value, slice):
        _check_refs([value.start, value.stop, value.step], made)


def _identifier(name: Any) -> str:  # noqa: ANN401 - from a file
    if not isinstance(name, str) or not name.isidentifier():
        raise damaged("an argument has no name")
    return name


def damaged(why: str) -> FileError:
    """The error for choices that cannot be what was saved."""
    return FileError(
        f"the choices of an accelerated model are damaged: {why}. The weights are loaded and "
        "right; call rarefy.accelerate on the model."
    )

"""The text that tells a chain of steps, read into values and written back to the same text."""

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rarefy.errors import FileError

VERSION = "rarefy 1"
MOST_SIDES = 6
"""Sides of a tensor that the runtime takes."""

_MOST_STEPS = 65536
_LARGEST = (1 << 31) - 1
_LARGEST_WINDOW = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a parameter lies: a section of the packed bytes, and the shape it is used in."""

    section: int
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a program.

    Attributes:
        op: What is done, such as ``linear``.
        out: The register it makes; -1 for ``output``, which makes none.
        inputs: The registers it reads.
        options: By key, in the order in which they are written: :class:`Place` for ``w``, ``s`` and
            ``p``; section or None for ``b``; int for ``rank``; float for ``lo``, ``hi``, ``eps``;
            two ints (height, width) for ``stride``, ``pad`` and ``size``.
    """

    op: str
    out: int
    inputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def line(self) -> str:
        """The step as it stands in a program.

        >>> Step("linear", 1, (0,), {"w": Place(0, (8, 4)), "b": None}).line()
        'linear r1 r0 w=0:8x4 b=-'
        """
        registers = self.inputs if self.out < 0 else (self.out, *self.inputs)
        words = [self.op, *(f"r{i}" for i in registers)]
        words += [f"{key}={_written(value)}" for key, value in self.options.items()]
        return " ".join(words)


def text(chain: Sequence[Step]) -> str:
    """The program of these steps: the version, then one line each.

    Raises:
        FileError: :func:`steps` would not read it.
    """
    written = "\n".join([VERSION, *(step.line() for step in chain)])
    steps(written)
    return written


def steps(program: str) -> tuple[Step, ...]:
    r"""The steps of a program: inputs, what is done with them, and what leaves.

    Everything that can be known without tensors is checked: the words, that registers are made
    once, in order and before they are read, and that their number of sides fits.

    Raises:
        FileError: The text is no program, or a step does not fit those before it.

    >>> [step.op for step in steps("rarefy 1\ninput r0 rank=2\nrelu r1 r0\noutput r1")]
    ['input', 'relu', 'output']
    """
    first, *lines = program.split("\n")
    if first != VERSION:
        raise FileError(
            f"a program begins with the line '{VERSION}'; found {_brief(first)}. It was written by "
            "another release of rarefy, or is no program: accelerate the model again."
        )
    if len(lines) > _MOST_STEPS:
        raise FileError(f"a program has at most {_MOST_STEPS} steps; found {len(lines)}.")
    found: list[Step] = []
    sides: list[int] = []
    for number, line in enumerate(lines, 2):
        try:
            step = _step(line)
            _check_order(step, found, len(sides))
            if step.op != "output":
                sides.append(_sides(step, [sides[i] for i in step.inputs]))
        except _Wrong as wrong:
            raise FileError(f"line {number} of the program, {_brief(line)}: {wrong}") from None
        found.append(step)
    if not found or found[-1].op != "output":
        raise FileError("the program ends without an 'output' line. It is damaged or cut short.")
    return tuple(found)


class _Wrong(Exception):  # noqa: N818 - becomes a FileError with the line
    """What is wrong with one line."""


def _step(line: str) -> Step:
    op, *words = line.split(" ")
    if op not in _FORMS:
        raise _Wrong(f"there is no such step. There are: {', '.join(sorted(_FORMS))}.")
    options = {}
    registers = list(itertools.takewhile(lambda word: "=" not in word, words))
    for word in words[len(registers) :]:
        key, _, value = word.partition("=")
        if key not in _FORMS[op].options:
            raise _Wrong(f"'{op}' has no option '{key[:40]}'.")
        options[key] = _FORMS[op].options[key](value)
    numbers = [_register(word) for word in registers]
    made = op != "output"
    if made and not numbers:
        raise _Wrong("it names no register.")
    step = Step(op, numbers[0] if made else -1, tuple(numbers[made:]), options)
    if list(options) != list(_FORMS[op].options):
        raise _Wrong(f"'{op}' takes the options {', '.join(_FORMS[op].options) or 'none'}, so.")
    if step.line() != line:
        raise _Wrong(f"write it as {_brief(step.line())}.")
    _check_options(options)
    return step


def _check_options(options: Mapping[str, Any]) -> None:
    if "lo" in options and options["lo"] > options["hi"]:
        raise _Wrong("lo is above hi.")
    if "size" in options and any(
        2 * pad > size for pad, size in zip(options["pad"], options["size"], strict=True)
    ):
        raise _Wrong("pad is more than half of size.")


def _check_order(step: Step, before: list[Step], made: int) -> None:
    last = before[-1].op if before else "input"
    if step.op == "input" and last != "input":
        raise _Wrong("inputs stand first.")
    if last == "output" and step.op != "output":
        raise _Wrong("outputs stand last.")
    if step.op != "output" and step.out != made:
        raise _Wrong(f"registers are made in order, so this one is r{made}.")
    if late := [i for i in step.inputs if i >= made]:
        raise _Wrong(f"r{late[0]} is read before it is made.")
    wanted = _FORMS[step.op].reads
    if len(step.inputs) != wanted:
        raise _Wrong(f"'{step.op}' reads {wanted} registers, not {len(step.inputs)}.")
    if step.op == "output":
        _check_output(step, before)


def _check_output(step: Step, before: list[Step]) -> None:
    # What leaves is a fresh tensor each, so that no two of them share memory.
    if before[step.inputs[0]].op == "input":
        raise _Wrong("an input cannot leave as it came in.")
    if any(other.op == "output" and other.inputs == step.inputs for other in before):
        raise _Wrong("a register leaves once.")


def _sides(step: Step, given: list[int]) -> int:
    """Sides of what a step makes, from those of what it reads."""
    form = _FORMS[step.op]
    if step.op == "input":
        rank: int = step.options["rank"]
        return rank
    if len(set(given)) > 1:
        raise _Wrong(f"it reads tensors of {given[0]} and {given[1]} sides; they must be equal.")
    if not form.least <= given[0] <= form.most:
        wanted = f"{form.least}" + (f" to {form.most}" if form.most > form.least else "")
        raise _Wrong(f"it reads a tensor of {given[0]} sides; '{step.op}' takes {wanted}.")
    return 2 if step.op == "flatten" else given[0]


def _written(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Place):
        return f"{value.section}:{'x'.join(map(str, value.shape))}"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return repr(value)


def _brief(line: str) -> str:
    return repr(line if len(line) <= 120 else line[:117] + "...")


def _int(word: str, least: int = 0, most: int = _LARGEST) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", word) or not least <= int(word) <= most:
        raise _Wrong(f"'{word[:40]}' is no whole number from {least} to {most}.")
    return int(word)


def _register(word: str) -> int:
    if not word.startswith("r"):
        raise _Wrong(f"'{word[:40]}' is no register; they are called r0, r1 and so on.")
    return _int(word[1:])


def _rank(word: str) -> int:
    return _int(word, 1, MOST_SIDES)


def _float(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise _Wrong(f"'{word[:40]}' is no number.")
    return value


def _eps(word: str) -> float:
    value = _float(word)
    if not 0 <= value < math.inf:
        raise _Wrong(f"eps is finite and not below 0; found {word[:40]}.")
    return value


def _section(word: str) -> int | None:
    return None if word == "-" else _int(word)


def _pair(least: int) -> Callable[[str], tuple[int, ...]]:
    def read(word: str) -> tuple[int, ...]:
        found = tuple(_int(part, least, _LARGEST_WINDOW) for part in word.split(","))
        if len(found) != 2:
            raise _Wrong(f"'{word[:40]}' is no pair of height and width.")
        return found

    return read


def _place(sides: int) -> Callable[[str], Place]:
    def read(word: str) -> Place:
        section, colon, shape = word.partition(":")
        found = tuple(_int(part) for part in shape.split("x")) if colon else ()
        if len(found) != sides:
            raise _Wrong(f"'{word[:40]}' is no section and shape of {sides} sides.")
        if any(side > _LARGEST_WINDOW for side in found[2:]) or (sides == 4 and 0 in found):
            raise _Wrong(f"'{word[:40]}' is no shape of a convolution's weight.")
        return Place(_int(section), found)

    return read


@dataclass(frozen=True, slots=True)
class _Form:
    """How the lines of one step look."""

    reads: int
    least: int = 1
    most: int = MOST_SIDES
    """Sides of what is read."""
    options: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)


_FORMS: dict[str, _Form] = {
    "input": _Form(0, options={"rank": _rank}),
    "linear": _Form(1, options={"w": _place(2), "b": _section}),
    "conv": _Form(1, 4, 4, {"w": _place(4), "b": _section, "stride": _pair(1), "pad": _pair(0)}),
    "affine": _Form(1, 2, options={"s": _place(1)}),
    "relu": _Form(1),
    "gelu": _Form(1),
    "gelu_tanh": _Form(1),
    "silu": _Form(1),
    "clamp": _Form(1, options={"lo": _float, "hi": _float}),
    "add": _Form(2),
    "mul": _Form(2),
    "norm": _Form(1, options={"p": _place(1), "eps": _eps}),
    "max_pool": _Form(1, 4, 4, {"size": _pair(1), "stride": _pair(1), "pad": _pair(0)}),
    "mean": _Form(1, 4, 4),
    "flatten": _Form(1, 2),
    "output": _Form(1),
}

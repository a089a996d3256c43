"""One layer's shape, as it is typed on a command line."""

import re
from dataclasses import dataclass
from functools import partial

from rarefy.errors import UnknownName
from rarefy.lab.speed._case import Case, conv, linear

_LINEAR = re.compile(r"(\d+)x(\d+)")
_CONV = re.compile(r"(\d+)x(\d+)x(\d+)x(\d+)@(\d+)")


@dataclass(frozen=True, slots=True)
class Shape:
    """A Linear (outputs, inputs) or a Conv2d (outputs, inputs, kernel) on pictures of ``side``."""

    outputs: int
    inputs: int
    kernel: int = 0
    """Side of the kernel; 0 for a Linear."""
    side: int = 0
    """Side of the picture; 0 for a Linear."""

    @property
    def rows(self) -> str:
        """What the example's first side counts."""
        return "images" if self.kernel else "tokens"

    def __str__(self) -> str:
        if not self.kernel:
            return f"{self.outputs}x{self.inputs}"
        return f"{self.outputs}x{self.inputs}x{self.kernel}x{self.kernel}@{self.side}"

    def bytes_moved(self, rows: int) -> int:
        """Of input and output in float32, for so many tokens or images."""
        pixels = self.side**2 if self.kernel else 1
        return 4 * rows * pixels * (self.outputs + self.inputs)

    def case(self, rows: int, sparsity: float, *, skewed: bool = False, seed: int = 0) -> Case:
        """The layer on ``rows`` tokens or images."""
        name = f"{self}, {rows} {self.rows}, {sparsity:.0%}"
        if self.kernel:
            build = partial(conv, self.outputs, self.inputs, self.kernel, self.side, rows)
        else:
            build = partial(linear, self.outputs, self.inputs, rows)
        return Case(name, partial(build, sparsity=sparsity, skewed=skewed, seed=seed), sparsity)


def shape_of(text: str) -> Shape:
    """``768x3072`` (outputs, inputs) or ``64x64x3x3@56`` (and kernel, and side of the picture).

    Raises:
        UnknownName: The text is neither.
    """
    if found := _LINEAR.fullmatch(text):
        sides = [int(side) for side in found.groups()]
        if all(sides):
            return Shape(*sides)
    if found := _CONV.fullmatch(text):
        outputs, inputs, high, wide, side = map(int, found.groups())
        if high == wide and all((outputs, inputs, high, side)):
            return Shape(outputs, inputs, high, side)
    raise UnknownName(
        f"{text!r} is no shape. Write OUTPUTSxINPUTS for a Linear, as in 768x3072, or "
        "OUTPUTSxINPUTSxKERNELxKERNEL@SIDE for a convolution of SIDE x SIDE pictures, as in "
        "64x64x3x3@56."
    )

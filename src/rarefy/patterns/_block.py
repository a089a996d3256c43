"""Rectangles of outputs x inputs at a fixed kernel position."""

from dataclasses import dataclass

from torch import Tensor

from rarefy.errors import PatternError
from rarefy.patterns._pattern import Pattern


@dataclass(frozen=True, slots=True)
class Block(Pattern):
    """A unit is a ``rows`` x ``columns`` tile of outputs x inputs, one kernel position deep."""

    rows: int
    columns: int

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise PatternError(
                f"a block needs at least one row and one column, got {self.rows}x{self.columns}"
            )

    def unit_scores(self, scores: Tensor) -> Tensor:
        groups, outputs, inputs, kernel = scores.shape
        if outputs % self.rows or inputs % self.columns:
            raise PatternError(
                f"{outputs} outputs x {inputs} inputs do not split into "
                f"{self.rows}x{self.columns} blocks. Choose a block that divides both sides, or "
                "leave the weight out with skip=."
            )
        tiles = scores.reshape(
            groups, outputs // self.rows, self.rows, inputs // self.columns, self.columns, kernel
        )
        return tiles.mean(dim=(2, 4)) if tiles.is_floating_point() else tiles.sum(dim=(2, 4))

    def expand(self, units: Tensor, shape: tuple[int, ...]) -> Tensor:
        rows = units.repeat_interleave(self.rows, dim=1)
        return rows.repeat_interleave(self.columns, dim=2).reshape(shape)

    def __str__(self) -> str:
        return f"block {self.rows}x{self.columns}"

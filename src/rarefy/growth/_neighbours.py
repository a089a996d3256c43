"""Growth where the living are: next to them, on the grids that rows and columns are points of."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from rarefy.errors import PatternError
from rarefy.growth._growth import Growth

Grid = tuple[int, int]

_WRITE = "growth.Neighbours(outputs=(72, 144), inputs=(72, 144), wrap=(False, True))"


@dataclass(frozen=True, slots=True)
class Grids:
    """Where outputs and inputs lie, and how close a connection is to those that live."""

    outputs: Grid
    inputs: Grid
    wrap: tuple[bool, bool] = (False, False)

    def __call__(self, living: Tensor, generator: Generator) -> Tensor:
        """Closeness, one a connection, with what makes ties random behind the point.

        Args:
            living: Bool, groups x outputs x inputs x kernel: what survived the drop.
            generator: On the CPU.
        """
        drawn = torch.rand(living.shape, generator=generator).to(living.device)
        top, bottom = self.halo(living[:, -self.outputs[1] :], living[:, : self.outputs[1]])
        counts = self.counts(torch.cat([top, living, bottom], dim=1))
        return drawn.to(torch.float64).add_(counts)

    def halo(self, last: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """What lies above the first line of outputs and below the last one.

        Args:
            last: The last line, groups x columns of the grid x inputs x kernel.
            first: The first line.
        """
        if self.wraps(self.outputs)[0]:
            return last, first
        return torch.zeros_like(last), torch.zeros_like(first)

    def counts(self, living: Tensor) -> Tensor:
        """Living neighbours of every connection, 0 to 16; uint8.

        Args:
            living: Bool, groups x outputs x inputs x kernel, of whole lines of the outputs' grid,
                with one line more above and one below that are looked at and not counted for.
        """
        lines = living.to(torch.uint8).unflatten(1, (-1, self.outputs[1]))
        middle = lines[:, 1:-1]
        along = _box(lines, 2, wraps=self.wraps(self.outputs)[1])
        found = along[:, :-2] + along[:, 1:-1] + along[:, 2:] - middle
        points = middle.unflatten(3, self.inputs)
        wraps = self.wraps(self.inputs)
        box = _box(_box(points, 3, wraps=wraps[0]), 4, wraps=wraps[1]) - points
        counts: Tensor = found + box.flatten(3, 4)
        return counts.flatten(1, 2)

    def wraps(self, grid: Grid) -> tuple[bool, bool]:
        """Which sides of ``grid`` go round: of one or two points both are neighbours anyway."""
        return self.wrap[0] and grid[0] > 2, self.wrap[1] and grid[1] > 2

    def __str__(self) -> str:
        (a, b), (c, d) = self.outputs, self.inputs
        return f"outputs {a}x{b}, inputs {c}x{d}, wrap {self.wrap}"


@dataclass(frozen=True, kw_only=True)
class Neighbours(Growth):
    """Next to what lives, where outputs and inputs are points of two-dimensional grids.

    Output ``o`` of the weight is the point (o // columns, o % columns) of the grid ``outputs``,
    input ``i`` one of the grid ``inputs``. The neighbours of a connection (o, i) are the
    connections of the points next to ``o``, diagonals included, with the same ``i``, and those of
    ``o`` with the points next to ``i``; in a convolution at the same kernel position. A dead
    connection is ranked by how many of its up to 16 neighbours survived the drop; ties are drawn
    from the generator, so where nothing is near it is :class:`Random`.

    Worked example: three outputs and three inputs, each in a line, (1, 3), and only (0, 0) lives.
    (0, 1) and (1, 0) have one living neighbour each, every other connection none: (1, 1) is no
    neighbour, for both its ends differ. With ``wrap=(False, True)`` the line is a ring, and (0, 2)
    and (2, 0) have one as well.

    >>> import torch
    >>> living = torch.zeros(1, 3, 3, 1, dtype=torch.bool)
    >>> living[0, 0, 0] = True
    >>> rule = Neighbours(outputs=(1, 3), inputs=(1, 3))
    >>> scores = rule.arrivals(living, torch.Generator())
    >>> scores.floor().int().reshape(3, 3).tolist()
    [[0, 1, 0], [1, 0, 0], [0, 0, 0]]

    Args:
        outputs: Lines and columns of the grid of outputs, such as latitudes and longitudes; their
            product is the number of outputs, in each group.
        inputs: The same of the inputs.
        wrap: Which of the two axes go round, in both grids; ``(False, True)`` for longitudes.

    Raises:
        PatternError: No grids, or something else than two whole sides each.
    """

    arrivals: Callable[..., Tensor] | None = None
    outputs: Grid | None = None
    inputs: Grid | None = None
    wrap: tuple[bool, bool] = (False, False)

    def __post_init__(self) -> None:
        super().__post_init__()
        grids = Grids(_grid("outputs", self.outputs), _grid("inputs", self.inputs), self._wraps())
        object.__setattr__(self, "arrivals", grids)  # frozen for others, not while it is made

    def _wraps(self) -> tuple[bool, bool]:
        try:
            first, second = self.wrap
        except (TypeError, ValueError):
            first = second = None  # type: ignore[assignment]
        if not isinstance(first, bool) or not isinstance(second, bool):
            raise PatternError(
                "growth.Neighbours: wrap says of each of the two axes whether it goes round, such "
                f"as (False, True); found {self.wrap!r}."
            )
        return first, second

    def refuse(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise where the grids are not those of a weight.

        Args:
            name: The weight's.
            shape: Groups, outputs, inputs, kernel.

        Raises:
            PatternError: The points do not make its outputs or its inputs.
        """
        for word, grid, size in (
            ("outputs", self.outputs, shape[1]),
            ("inputs", self.inputs, shape[2]),
        ):
            points = math.prod(grid or ())
            if points != size:
                raise PatternError(
                    f"{name} has {size} {word}; growth.Neighbours({word}={grid}) is a grid of "
                    f"{points} points. Give the grid of this weight, or leave it out with "
                    f"skip=[{name!r}]. Nothing was changed."
                )

    def __str__(self) -> str:
        return "neighbours"


def _grid(word: str, found: object) -> Grid:
    if found is None:
        raise PatternError(
            f"growth 'neighbours' needs to know where the {word} lie: write {_WRITE}, with the "
            "lines and columns of your grids."
        )
    whole = isinstance(found, tuple | list) and all(
        isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in found
    )
    if not whole or len(found) != 2:  # type: ignore[arg-type]  # whole says that it has a length
        raise PatternError(
            f"growth.Neighbours: {word} is a grid of lines and columns, such as (72, 144); "
            f"found {found!r}."
        )
    return found[0], found[1]  # type: ignore[index]  # as above


def _box(points: Tensor, dim: int, *, wraps: bool) -> Tensor:
    """The sum of each point and the two next to it along ``dim``."""
    if wraps:
        return points + points.roll(1, dim) + points.roll(-1, dim)
    size = points.shape[dim]
    edge = torch.zeros_like(points.narrow(dim, 0, 1))
    wide = torch.cat([edge, points, edge], dim)
    return wide.narrow(dim, 0, size) + points + wide.narrow(dim, 2, size)

"""A mask as a picture: averaged down to what a page can show, and exact for a closer look."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rarefy.reports._png import png

PIXELS = 320
"""Most pixels across and down an averaged picture: what a page shows without shrinking it."""

_INK = (47, 127, 220)  # seen on white and on black


@dataclass(frozen=True, slots=True)
class Picture:
    """One mask: outputs down; inputs across, each with its kernel positions side by side."""

    rows: int
    columns: int
    kernel: int
    """Kernel positions of an input; 1 where there is no kernel."""
    bits: NDArray[np.uint8]
    """Rows x bytes: eight weights a byte, the first in the highest bit."""
    average: NDArray[np.float64]
    """Share kept under each pixel of the averaged picture."""

    @property
    def exact(self) -> bool:
        """Whether the averaged picture shows every weight by itself."""
        return self.average.shape == (self.rows, self.columns)

    @property
    def aspect(self) -> float:
        """Width over height as it is shown."""
        return _aspect(self.rows, self.columns)

    def full(self) -> bytes:
        """PNG with one bit per weight: 1 is kept and inked, 0 is removed and clear."""
        return png(self.bits, self.columns, 1, [(*_INK, 0), (*_INK, 255)])

    def averaged(self) -> bytes:
        """PNG with one byte per pixel: the share kept under it, in 255ths.

        The opacity is stretched so that the densest pixel has full ink: at 99 % sparsity a faithful
        one would be blank paper. :attr:`densest` says what full ink stands for.
        """
        shares = np.rint(self.average * 255).astype(np.uint8)
        most = max(int(shares.max(initial=0)), 1)
        palette = [(*_INK, min(255, round(255 * share / most))) for share in range(256)]
        return png(shares, shares.shape[1], 8, palette)

    @property
    def densest(self) -> float:
        """Share kept under the pixel with full ink."""
        return float(self.average.max(initial=0.0))


def picture(matrix: Tensor, pixels: int = PIXELS) -> Picture:
    """The picture of one mask.

    Args:
        matrix: Bool, groups x outputs x inputs x kernel, as ``Target.matrix`` gives it.
        pixels: Most columns of the averaged picture, and most rows of one that is not wide.
    """
    mask = matrix.flatten(2, 3).flatten(0, 1).cpu().numpy()
    rows, columns = mask.shape
    high = max(1, int(pixels / _aspect(rows, columns)))
    down = area_mean(mask, min(rows, high), min(columns, pixels))
    return Picture(rows, columns, matrix.shape[3], np.packbits(mask, axis=1), down)


def _aspect(rows: int, columns: int) -> float:
    # Long thin masks are stretched, or a classifier of ten outputs would be a line.
    return min(max(columns / max(rows, 1), 1.0), 4.0)


def area_mean(mask: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.float64]:
    """``mask`` averaged down to ``rows`` x ``columns`` pixels of equal area.

    A weight that lies across an edge counts for each pixel with the part that lies in it, so the
    mean of the pixels is the mean of the mask.
    """
    if not mask.size:
        return np.zeros((0, 0))
    # Rows first, a strip at a time: memory stays rows x (columns of the mask).
    strips = np.stack([_strip(mask, mask.shape[0] / rows, row) for row in range(rows)])
    size = strips.shape[1] / columns
    return np.stack([_strip(strips.T, size, column) for column in range(columns)]).T


def _strip(values: NDArray[np.generic], size: float, number: int) -> NDArray[np.float64]:
    begin, end = number * size, (number + 1) * size
    first, last = int(begin), min(int(np.ceil(end - 1e-9)), len(values))
    total = values[first:last].sum(axis=0, dtype=np.float64)
    total -= (begin - first) * values[first]
    total -= (last - end) * values[last - 1]
    return np.asarray(total / size, dtype=np.float64)

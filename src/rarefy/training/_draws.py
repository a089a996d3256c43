"""Numbers drawn for a whole weight and used for a part of it, never all of them at once."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

CHUNK = 1 << 20
"""Numbers drawn at once; a multiple of 16, the batch in which torch draws normal ones."""

Draw = Callable[..., Tensor]


def drawn_at(places: Tensor, size: int, draw: Draw, generator: Generator) -> Tensor:
    """What ``draw(size, generator=generator)`` has at ``places``.

    The same numbers as if all were drawn at once: uniform ones come one after another, normal ones
    in batches of 16, of which the last 16 are drawn again where the size is no multiple.

    Args:
        places: int64, ascending, in [0, size).
        size: Numbers in all.
        draw: ``torch.rand`` or ``torch.randn``.
        generator: On the CPU; it is left where drawing all of them leaves it.
    """
    # The last chunk keeps 16 numbers at least, or its end would be drawn in another way.
    starts = list(range(0, max(size - 15, 1), CHUNK))
    cuts = torch.searchsorted(places, torch.tensor([*starts, size])).tolist()
    found = torch.empty(places.shape)
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else size
        first, last = cuts[number : number + 2]
        drawn = draw(end - start, generator=generator)
        found[first:last] = drawn[places[first:last] - start]
    return found

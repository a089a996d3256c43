"""A weight into a format and back, exactly."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rarefy.formats._format import Format
from rarefy.formats._kept import kept_of, values_of, weight_and_mask, words_of
from rarefy.formats._words import parse


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A weight as it is stored."""

    format: Format
    """With every setting that was left open chosen."""
    shape: tuple[int, ...]
    dtype: torch.dtype
    """Of the weight."""
    parts: Mapping[str, Tensor]
    """What is stored, each with one side: ``values`` in the weight's dtype, the rest whole numbers
    or bytes; on the CPU."""

    @property
    def bytes(self) -> int:
        """Of all parts."""
        return sum(part.numel() * part.element_size() for part in self.parts.values())


@torch.no_grad()
def encode(weight: Tensor, format: str | Format, mask: Tensor | None = None) -> Encoded:  # noqa: A002 - the word of the vocabulary
    """The weight stored in ``format``; :func:`decode` gives it back bit by bit.

    Of one thing less is stored than there was: a removed -0.0 comes back as 0.0.

    Args:
        weight: Dense, any shape, dtype, device and strides.
        format: A format or its name: see :func:`parse`.
        mask: Bool, True where kept, shaped like the weight. Without it every value but +0.0 is
            kept.

    Raises:
        FileError: The mask does not go with the weight, or the format not with its dtype.
        InvariantError: A removed weight is not zero.
        PatternError: The weight keeps more than n of m somewhere.
        UnknownName: No such format.

    >>> encoded = encode(torch.tensor([[0.0, 2.0], [0.0, 3.0]]), "csr")
    >>> encoded.parts["columns"].tolist(), encoded.parts["starts"].tolist(), encoded.bytes
    ([1, 1], [0, 1, 2], 28)
    """
    kept = kept_of(weight, mask)
    chosen = (parse(format) if isinstance(format, str) else format).settled(kept)
    parts = {
        name: values_of(array, kept.dtype)
        if name == "values"
        else torch.from_numpy(np.ascontiguousarray(array))
        for name, array in chosen.arrays(kept).items()
    }
    return Encoded(chosen, kept.shape, kept.dtype, parts)


def decode(encoded: Encoded) -> tuple[Tensor, Tensor]:
    """The dense weight, +0.0 where nothing is kept, and its bool mask; both on the CPU.

    Raises:
        FileError: The parts are of no weight of that shape; every index is checked before it is
            used.

    >>> weight, mask = decode(encode(torch.tensor([0.0, 2.0]), "delta"))
    >>> weight, mask
    (tensor([0., 2.]), tensor([False,  True]))
    """
    arrays = {
        name: words_of(part) if name == "values" else part.detach().cpu().contiguous().numpy()
        for name, part in encoded.parts.items()
    }
    return weight_and_mask(encoded.format.kept(encoded.shape, encoded.dtype, arrays))

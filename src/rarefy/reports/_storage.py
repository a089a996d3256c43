"""What the weights of a file take as they are stored, and would take in every other format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from rarefy.files import Contents
from rarefy.formats import Choice, choose
from rarefy.reports import _numbers as show
from rarefy.reports._rows import Rows

COLUMNS = ("dense", "bitmask", "delta", "csr", "coo", "bsr", "n:m", "packed")
"""Families that the table shows; ``to_dict()`` has the others too."""


@dataclass(frozen=True, slots=True)
class Storage:
    """One weight of a file."""

    format: str
    """What the file holds it in: dense, bitmask or delta."""
    bytes: int
    """Taken in the file, values and positions."""
    choice: Choice
    """Bytes in every format, the smallest, and where the next break-even lies."""

    def plain(self) -> dict[str, Any]:
        """As plain data that ``json.dumps`` takes."""
        return {
            "format": self.format,
            "bytes": self.bytes,
            "formats": dict(self.choice.bytes),
            "least": self.choice.least,
            "smallest": self.choice.smallest,
            "next": self.choice.next,
            "next_sparsity": self.choice.next_sparsity,
        }


def storage_of(contents: Contents, name: str, tensor: Tensor, mask: Tensor | None) -> Storage:
    """How a weight of a file is stored, and could be.

    Args:
        contents: The file.
        name: Of the weight.
        tensor: The weight.
        mask: What it keeps; None where every value that is not zero is kept.
    """
    choice = choose(tensor, tensor != 0 if mask is None else mask)
    return Storage(contents.records[name].format, contents.bytes[name], choice)


def storage_rows(weights: Mapping[str, Storage]) -> Rows:
    """One row a weight: bytes in every format, and in words which is smallest and what is next."""
    names = {"csr": "CSR", "coo": "COO", "bsr": "BSR"}
    columns = ("weight", "in the file", *(f"as {names.get(one, one)}" for one in COLUMNS))
    columns += ("least possible", "smallest", "next break-even")
    rows = tuple(
        (
            name,
            f"{one.format}, {show.size(one.bytes)}",
            *(_cell(one.choice, family) for family in COLUMNS),
            show.size(one.choice.least),
            f"{one.choice.smallest}, {show.size(one.choice.bytes[one.choice.smallest])}",
            following(one.choice),
        )
        for name, one in weights.items()
    )
    left = {"weight", "in the file", "smallest", "next break-even"}
    return Rows(columns, rows, tuple(word in left for word in columns))


def following(choice: Choice) -> str:
    """Which format is the next to be the smallest, and from where on."""
    if choice.next is None or choice.next_sparsity is None:
        return show.NOTHING
    return f"{choice.next} from {show.percent(choice.next_sparsity, 1)}"


def _cell(choice: Choice, family: str) -> str:
    name = choice.families.get(family)
    return show.NOTHING if name is None else show.size(choice.bytes[name])

"""Formats by name."""

import difflib
import re

from rarefy.errors import UnknownName
from rarefy.formats._bitmask import Bitmask
from rarefy.formats._bsr import Bsr
from rarefy.formats._coo import Coo
from rarefy.formats._csr import Csr
from rarefy.formats._delta import Delta
from rarefy.formats._dense import Dense
from rarefy.formats._format import Format
from rarefy.formats._n_of_m import NofM
from rarefy.formats._packed import Packed
from rarefy.formats._run_length import RunLength

_PLAIN: dict[str, Format] = {
    "dense": Dense(),
    "bitmask": Bitmask(),
    "csr": Csr(),
    "csr narrow": Csr(narrow=True),
    "coo": Coo(),
    "coo narrow": Coo(narrow=True),
    "delta": Delta(),
    "run_length": RunLength(),
    "packed": Packed(),
}


def parse(words: str) -> Format:
    """The format that ``words`` name: dense, bitmask, csr, coo, bsr 4x4, delta, 2:4, packed.

    ``csr``, ``coo`` and ``bsr`` may be ``narrow``; ``delta`` and ``run_length`` may be followed by
    the bits of a field.

    Raises:
        UnknownName: No format is written so.
        RarefyError: The numbers make no format, as in 4:2.

    >>> parse("bsr 4x1")
    Bsr(rows=4, columns=1, narrow=False)
    >>> parse("delta 5")
    Delta(width=5)
    """
    text = words.strip().lower()
    if text in _PLAIN:
        return _PLAIN[text]
    if match := re.fullmatch(r"(\d+)\s*:\s*(\d+)", text):
        return NofM(int(match[1]), int(match[2]))
    if match := re.fullmatch(r"bsr\s*(\d+)\s*x\s*(\d+)(\s+narrow)?", text):
        return Bsr(int(match[1]), int(match[2]), match[3] is not None)
    if match := re.fullmatch(r"(delta|run_length)\s+(\d+)", text):
        return (Delta if match[1] == "delta" else RunLength)(int(match[2]))
    near = difflib.get_close_matches(text, [*_PLAIN, "bsr 4x4", "2:4"], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownName(
        f"there is no format {words!r}.{hint} Formats are: dense, bitmask, csr, coo, bsr RxC (as "
        "bsr 4x4), delta, run_length, n:m (as 2:4), packed; csr, coo and bsr also narrow."
    )

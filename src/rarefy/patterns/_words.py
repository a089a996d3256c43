"""Patterns by name."""

import difflib
import re

from rarefy.errors import UnknownName
from rarefy.patterns._axis import Column, Row
from rarefy.patterns._block import Block
from rarefy.patterns._n_of_m import NofM
from rarefy.patterns._pattern import Pattern
from rarefy.patterns._unstructured import Unstructured

_PLAIN: dict[str, Pattern] = {"unstructured": Unstructured(), "row": Row(), "column": Column()}


def parse(words: str) -> Pattern:
    """The pattern that ``words`` name: unstructured, row, column, 2:4, block 4x1.

    Raises:
        UnknownName: No pattern is written so.
        PatternError: The numbers make no pattern, as in 4:2.

    >>> parse("2:4")
    NofM(n=2, m=4)
    >>> parse("block 4x1")
    Block(rows=4, columns=1)
    """
    text = words.strip().lower()
    if text in _PLAIN:
        return _PLAIN[text]
    if match := re.fullmatch(r"(\d+)\s*:\s*(\d+)", text):
        return NofM(int(match[1]), int(match[2]))
    if match := re.fullmatch(r"block\s*(\d+)\s*x\s*(\d+)", text):
        return Block(int(match[1]), int(match[2]))
    near = difflib.get_close_matches(text, [*_PLAIN, "block 4x1", "2:4"], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownName(
        f"there is no pattern {words!r}.{hint} "
        "Patterns are: unstructured, row, column, n:m (as 2:4), block RxC (as block 4x1)."
    )

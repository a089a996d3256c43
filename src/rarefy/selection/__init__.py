"""The one arrow: evidence, scores, units, counts, mask."""

from rarefy._apportion import count_of
from rarefy.selection._asked import asked, pattern_of
from rarefy.selection._choose import choose, counts_of, generator_for, score_of, wants
from rarefy.selection._names import named

__all__ = [
    "asked",
    "choose",
    "count_of",
    "counts_of",
    "generator_for",
    "named",
    "pattern_of",
    "score_of",
    "wants",
]

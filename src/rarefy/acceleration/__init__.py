"""Makes a model faster on this CPU: traces it, times dense and sparse, and takes what wins."""

from rarefy.acceleration._build import accelerated
from rarefy.acceleration._choices import apply_choices, choices
from rarefy.acceleration._explain import Explanation, explanation
from rarefy.acceleration._time import Stopwatch

__all__ = [
    "Explanation",
    "Stopwatch",
    "accelerated",
    "apply_choices",
    "choices",
    "explanation",
]

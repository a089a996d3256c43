"""How much two sets of masks have in common."""

from dataclasses import dataclass
from functools import reduce

from rarefy._types import NamedTensors
from rarefy.errors import TargetError


@dataclass(frozen=True, slots=True)
class Overlap:
    """Weights kept before, after, and both times. Overlaps of several weights can be added."""

    before: int
    after: int
    both: int

    def __add__(self, other: "Overlap") -> "Overlap":
        return Overlap(self.before + other.before, self.after + other.after, self.both + other.both)

    @property
    def churn(self) -> float:
        """Share of the weights kept before that is no longer kept; 0 where none was."""
        return 1 - self.both / self.before if self.before else 0.0

    @property
    def jaccard(self) -> float:
        """Kept both times over kept at either time; 1 where neither keeps any."""
        either = self.before + self.after - self.both
        return self.both / either if either else 1.0


def overlap(before: NamedTensors, after: NamedTensors) -> dict[str, Overlap]:
    """What two sets of masks have in common, weight by weight.

    Args:
        before: Parameter name to bool mask.
        after: Masks for the same weights.

    Raises:
        TargetError: They are masks of different weights.
    """
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        raise TargetError(
            f"the two sets of masks are not for the same weights: only one has {', '.join(odd)}. "
            "Compare masks of one model."
        )
    found: dict[str, Overlap] = {}
    for name, mask in before.items():
        other = after[name].to(mask.device)
        if mask.shape != other.shape:
            raise TargetError(
                f"{name}: mask of shape {tuple(mask.shape)} against {tuple(other.shape)}. "
                "Compare masks of one model."
            )
        found[name] = Overlap(int(mask.sum()), int(other.sum()), int((mask & other).sum()))
    return found


def churn(before: NamedTensors, after: NamedTensors) -> float:
    """Share of all weights kept before that is no longer kept after."""
    return _all(before, after).churn


def jaccard(before: NamedTensors, after: NamedTensors) -> float:
    """Weights kept both times over weights kept at either time, over all weights."""
    return _all(before, after).jaccard


def _all(before: NamedTensors, after: NamedTensors) -> Overlap:
    return reduce(Overlap.__add__, overlap(before, after).values(), Overlap(0, 0, 0))

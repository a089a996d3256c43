"""Structure that masks have killed: outputs, inputs, whole layers."""

from collections.abc import Mapping
from dataclasses import dataclass

from rarefy._types import NamedTensors
from rarefy.targets import Target


@dataclass(frozen=True, slots=True)
class Dead:
    """What of one weight has nothing left."""

    outputs: tuple[int, ...]
    """Rows without a kept weight, counted over all groups: neurons or channels that only their
    bias still drives."""
    inputs: tuple[int, ...]
    """Columns without a kept weight: inputs that this weight no longer reads."""
    collapsed: bool
    """Whether nothing is kept at all, so that no signal passes."""


def dead(masks: NamedTensors, targets: Mapping[str, Target]) -> dict[str, Dead]:
    """Dead outputs, dead inputs and collapse of every weight, from the masks alone.

    Masks are asked whether anything is kept, never whether values add up to zero: weights can
    cancel. A weight of stacked blocks (attention projections, gates) has one row per block and
    output; an input of it is dead when no block reads it. The columns of a grouped convolution
    are positions in a group, dead when no group uses them.

    Args:
        masks: Parameter name to bool mask, shaped like the weight.
        targets: Parameter name to target, for the matrix view.
    """
    found: dict[str, Dead] = {}
    for name, mask in masks.items():
        # groups x outputs x inputs x kernel to groups x outputs x inputs
        alive = targets[name].matrix(mask).any(dim=3)
        rows = alive.any(dim=2).flatten()
        # Groups of a transposed convolution each have inputs of their own; stacked blocks share.
        own = targets[name].turned
        columns = alive.any(dim=1).flatten() if own else alive.any(dim=1).any(dim=0)
        found[name] = Dead(
            tuple((~rows).nonzero().flatten().tolist()),
            tuple((~columns).nonzero().flatten().tolist()),
            not bool(rows.any()),
        )
    return found

"""FLOPs of a run along its schedule, in multiples of dense training."""

from rarefy.errors import BudgetError
from rarefy.metrics._training_cost import training_cost
from rarefy.training import Sparsifier

_POINTS = 200
"""Most points of the curve."""


def training_flops(sparsifier: Sparsifier, share: float) -> list[tuple[int, float]]:
    """Steps taken, and what they cost so far over what as many dense steps cost.

    Evci et al., "Rigging the Lottery", 2020, appendix H, step by step instead of on average: with
    f_D and f_S the FLOPs of a dense and of the sparse forward pass, an ordinary step costs 3 f_S;
    one that looks at the dense gradient of the weights, where RigL exchanges, 2 f_S + f_D; a dense
    one 3 f_D. Where the sparsity rises on the way, f_S is taken to be linear in it. Choosing
    what to drop and to grow is not counted.

    Args:
        sparsifier: With the plan and the history of the run.
        share: f_S / f_D as it is now: effective over dense FLOPs.

    Returns:
        At most 200 points, evenly apart, the last at the present step; none before the first step.

    Raises:
        BudgetError: ``share`` is outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise BudgetError(
            f"share={share} is no share of the dense FLOPs: give effective / dense, in [0, 1]"
        )
    plan, now = sparsifier.plan, sparsifier.sparsity
    known = [(int(r["step"]), r["sparsity"]) for r in sparsifier.history if "sparsity" in r]
    saved = (1 - share) / now if now else 0.0
    points: list[tuple[int, float]] = []
    spent, at, sparsity = 0.0, 0, now
    apart = max(1, -(-sparsifier.step // _POINTS))
    for step in range(sparsifier.step):
        while at < len(known) and known[at][0] <= step:
            sparsity = known[at][1]
            at += 1
        left = 1 - saved * sparsity
        dense = plan.needs_average or (plan.replaces_step and plan.due(step))
        spent += training_cost("snfs" if dense else "static", min(1.0, max(0.0, left)))
        if (step + 1) % apart == 0 or step + 1 == sparsifier.step:
            points.append((step + 1, spent / (step + 1)))
    return points

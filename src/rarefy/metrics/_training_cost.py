"""What training costs by formula, in multiples of dense training."""

from collections.abc import Callable

from rarefy.errors import BudgetError, UnknownName

_COSTS: dict[str, Callable[[float, int], float]] = {
    # A step is one forward pass and a backward pass of twice its cost: 3 f. Dense: 3 f_D.
    "dense": lambda _, __: 1.0,
    "gmp": lambda share, _: share,
    "static": lambda share, _: share,
    "set": lambda share, _: share,
    # Every step needs the dense gradient of the weights, and only that part is dense.
    "snfs": lambda share, _: (2 * share + 1) / 3,
    # One step in every + 1 is like an SNFS step, the others like static ones.
    "rigl": lambda share, every: (3 * share * every + 2 * share + 1) / (3 * (every + 1)),
}


def training_cost(method: str, share: float, *, every: int = 100) -> float:
    """FLOPs of training by ``method``, as a multiple of training the dense model.

    Evci et al., "Rigging the Lottery", 2020, appendix H: with f_D and f_S the FLOPs of a dense
    and a sparse forward pass, dense 3 f_D; static and SET 3 f_S; SNFS 2 f_S + f_D; RigL
    (3 f_S every + 2 f_S + f_D) / (every + 1); gradual pruning the mean of 3 f_S over the run.

    Args:
        method: ``"dense"``, ``"gmp"``, ``"static"``, ``"set"``, ``"rigl"`` or ``"snfs"``.
        share: f_S / f_D: effective over dense FLOPs, ``1 - sparsity`` where layers are equally
            sparse; for ``"gmp"`` its mean over the run.
        every: Steps from one exchange to the next; only RigL's cost depends on it.

    Raises:
        UnknownName: No formula for the method.
        BudgetError: ``share`` outside [0, 1], or ``every`` below 1.

    >>> round(training_cost("rigl", 0.2), 4)
    0.2026
    """
    if method not in _COSTS:
        raise UnknownName(
            f"no cost formula for {method!r}. There is one for: {', '.join(sorted(_COSTS))}."
        )
    if not 0 <= share <= 1:
        raise BudgetError(
            f"share={share} is no share of the dense FLOPs: give effective / dense, in [0, 1]"
        )
    if every < 1:
        raise BudgetError(f"every={every}: an exchange every 1 step is the most there can be")
    return _COSTS[method](share, every)

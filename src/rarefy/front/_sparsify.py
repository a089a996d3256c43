"""``rarefy.sparsify``: from a dense model to a sparse one, now or while it trains."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rarefy import scores
from rarefy._types import Allocation, Batches, Loss, Score
from rarefy.communication import same_seed
from rarefy.errors import AttachError, BudgetError, EvidenceError, ScoreError, TargetError
from rarefy.evidence import check_batches
from rarefy.front._plan import fit
from rarefy.front._storage import (
    check_words,
    refuse_growth,
    refuse_stored,
    refuse_unfit,
    twins_for,
)
from rarefy.front._words import method_of
from rarefy.growth import Growth
from rarefy.masks import MaskSet
from rarefy.patterns import Pattern
from rarefy.schedules import Every, Ramp
from rarefy.selection import asked, choose, wants
from rarefy.targets import Target, find, unwrap, weight_of
from rarefy.training import (
    Method,
    Plan,
    Sparsifier,
    check_optimizers,
    mean_gradients,
    sparsifier_of,
)

Choices = str | nn.Module | type[nn.Module] | Sequence[str | nn.Module | type[nn.Module]]


def sparsify(
    model: nn.Module,
    sparsity: float | str,
    method: str | Method | Score | None = None,
    *,
    optimizer: Any = None,  # noqa: ANN401 - an optimizer, several, or a wrapper of one
    steps: int | None = None,
    data: Batches | None = None,
    loss: Loss | None = None,
    score: str | Score | None = None,
    pattern: str | Pattern | None = None,
    allocation: str | Allocation | Mapping[str, float] | None = None,
    when: str | Every | Ramp | None = None,
    growth: str | Growth | None = None,
    only: Choices | None = None,
    skip: Choices | None = None,
    minimum: int = 1,
    seed: int | None = None,
    storage: str = "masked",
    slack: float = 0.0,
    fully_sparse: bool = False,
) -> Sparsifier:
    """Make ``model`` sparse in place, at once or while ``optimizer`` trains it.

    Args:
        model: Any; wrapped ones (torch.compile, DistributedDataParallel) too.
        sparsity: Share of the weights removed in the end, in [0, 1), or a pattern that fixes it,
            such as ``"2:4"``. Counted in units of the pattern, exactly, over all chosen weights.
        method: A name (``rarefy methods`` lists them), a score's name (one shot with it), a value,
            or a score of your own. Without it: ``gmp`` with an optimizer, ``one_shot`` without.
        optimizer: The one that trains the weights, or several; a wrapper is opened. Removed
            weights and their state stay exactly zero through its steps.
        steps: Optimizer steps that will be taken, for methods that change masks on the way.
        data: Batches that can be read more than once, for scores that need gradients.
        loss: Model and batch to the scalar mean loss; see :func:`rarefy.evidence.mean_loss`.
        score: Ranks what lives; a name of ``rarefy.scores`` or a function of evidence.
        pattern: What lives or dies as one: ``"block 4x1"``, ``"row"``, or a value.
        allocation: How much per layer: a name, a function, or regular expression to sparsity.
        when: ``"once"``, ``"every 100 until 75%"``, or a value of ``rarefy.schedules``.
        growth: What returns: a name or a value of ``rarefy.growth``.
        only: Weights to take: names, globs, module types or modules. Without it every Linear,
            convolution, attention projection and recurrent weight.
        skip: Weights to leave out, said in the same ways.
        minimum: Units that every weight keeps at least.
        seed: For all that is drawn. None draws one number from torch's global generator. On
            several ranks it is rank 0's.
        storage: ``"masked"``: dense weights with zeros. ``"compressed"``: the layers are swapped
            for ones that hold what lives alone, and so do gradients and optimizer state.
        slack: Slots in reserve in each compressed weight, as a share of those that live.
        fully_sparse: Refuse every method that needs a dense gradient, average or master.

    Returns:
        The Sparsifier that owns the masks.

    Raises:
        RarefyError: Anything that does not fit, before anything is changed.
    """
    plain, trains = plain_of(model), optimizer is not None
    refuse_second(plain)
    check_words(storage, slack, fully_sparse=fully_sparse)
    number, fixing = asked(sparsity, pattern)
    words = {"score": score, "pattern": fixing, "allocation": allocation, "growth": growth}
    chosen = method_of(method, {**words, "when": when}, trains=trains)
    targets = find(plain, only, skip)
    refuse_stored(plain, targets)
    refuse_growth(targets, chosen.growth)
    weights = {name: weight_of(plain, name) for name in targets}
    refuse_odd(weights)
    if trains:
        check_optimizers(optimizer, weights)
    first = same_seed(_next_draw() if seed is None else _seed(seed))
    plan = fit(chosen, number, steps=steps, trains=trains, minimum=minimum, seed=first)
    twins = twins_for(model)
    if storage == "compressed":
        refuse_unfit(plain, targets, plan, twins, optimizer)
    masks = _first_masks(plain, targets, weights, plan, data, loss)
    sparsifier = Sparsifier(plain, targets, masks, plan)
    sparsifier.compressing = twins
    if trains:
        sparsifier.attach(optimizer)
    if seed is None:
        _draw()
    if storage == "compressed":
        return sparsifier.compress(slack, fully_sparse=fully_sparse)
    return sparsifier


def _draw() -> int:
    return int(torch.empty((), dtype=torch.int64, device="cpu").random_())


def _seed(seed: Any) -> int:  # noqa: ANN401 - refused unless it is whole
    try:
        whole = operator.index(seed)
    except TypeError:
        whole = None
    if whole is None or isinstance(seed, bool) or not -(2**63) <= whole < 2**63:
        raise BudgetError(f"seed is a whole number of 64 bits, or None; found {seed!r}.")
    return whole


def _next_draw() -> int:
    # Looked at, not taken: a call that is refused draws nothing.
    with torch.random.fork_rng(devices=[]):
        return _draw()


def plain_of(model: nn.Module) -> nn.Module:
    """The model without its wrappers.

    Raises:
        TargetError: It is no module.
    """
    if not isinstance(model, nn.Module):
        raise TargetError(f"the model is a torch.nn.Module; found {type(model).__name__}.")
    return unwrap(model)


def refuse_second(model: nn.Module) -> None:
    """A model whose masks are driven by an optimizer's steps takes no second Sparsifier."""
    other = sparsifier_of(model)
    if other is not None and other.attached:
        raise AttachError(
            f"a Sparsifier ({other.method}, step {other.step}) drives this model already. Use its "
            "prune() for more sparsity, or finalize() it first."
        )


def refuse_odd(weights: Mapping[str, nn.Parameter]) -> None:
    """Weights that are not finite cannot be ranked, and would hide what is wrong."""
    for name, weight in weights.items():
        if not weight.detach().isfinite().all():
            raise ScoreError(
                f"{name} holds NaN or infinite weights, which cannot be ranked. Training has "
                f"diverged, or the file is damaged. Leave it out with skip=[{name!r}] if it is "
                "meant so. Nothing was changed."
            )


def _first_masks(
    model: nn.Module,
    targets: Mapping[str, Target],
    weights: Mapping[str, nn.Parameter],
    plan: Plan,
    data: Batches | None,
    loss: Loss | None,
) -> MaskSet:
    first: dict[str, Score] = {"random": scores.random, "dense": scores.magnitude}
    score = first.get(plan.method.start, plan.method.score)
    sparsity = plan.sparsity
    begins = plan.ramp(0) if plan.ramp is not None else 0.0
    if begins:
        score, sparsity = plan.method.score, begins
    with torch.no_grad():
        matrices = choose(
            _evidence(model, targets, weights, score, data, loss),
            shapes={name: target.sides for name, target in targets.items()},
            sparsity=sparsity,
            score=score,
            pattern=plan.method.pattern,
            allocation=plan.method.allocation,
            minimum=plan.minimum,
            seed=plan.seed,
        )
    if plan.method.start == "dense" and not begins:
        # That was a rehearsal: what does not fit is said now, not in the middle of training.
        return MaskSet({n: torch.ones_like(w, dtype=torch.bool) for n, w in weights.items()})
    return MaskSet({name: targets[name].restore(mask) for name, mask in matrices.items()})


def _evidence(
    model: nn.Module,
    targets: Mapping[str, Target],
    weights: Mapping[str, nn.Parameter],
    score: Score,
    data: Batches | None,
    loss: Loss | None,
) -> dict[str, dict[str, Tensor]]:
    evidence = {"weight": {n: targets[n].matrix(w.detach()) for n, w in weights.items()}}
    if data is not None:
        check_batches(data)
    if "gradient" in wants(score):
        if data is None:
            name = getattr(score, "__name__", score)
            raise EvidenceError(
                f"the score {name} needs gradients: pass data=, a list of batches or a DataLoader, "
                "and loss= if none follows from the batch."
            )
        found = mean_gradients(model, weights, data, loss)
        evidence["gradient"] = {name: targets[name].matrix(found[name]) for name in targets}
    return evidence

"""From evidence to masks: score, unit, count, choose."""

import hashlib
import inspect
from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor

from rarefy._apportion import count_of
from rarefy._types import Allocation, NamedTensors, Score, Units
from rarefy.errors import BudgetError, EvidenceError, PatternError, ScoreError
from rarefy.patterns import Pattern

Evidence = Mapping[str, NamedTensors]


def choose(
    evidence: Evidence,
    *,
    shapes: Mapping[str, tuple[int, ...]],
    sparsity: float | None,
    score: Score,
    pattern: Pattern,
    allocation: Allocation,
    minimum: int = 1,
    seed: int = 0,
    step: int = 0,
    among: NamedTensors | None = None,
) -> dict[str, Tensor]:
    """Masks in the matrix view, bool by name, that keep exactly what ``sparsity`` asks.

    Scores are made when they are needed and not kept, so the extra memory is a few times the
    largest weight.

    Args:
        evidence: Kind to tensors by name, in the matrix view; ``weight`` gives the names.
        shapes: Outputs, inputs and kernel sides of each weight.
        sparsity: Share of all units removed; None where the pattern fixes it.
        score: Function of evidence by name.
        pattern: What a unit is.
        allocation: How the units kept in all are spread.
        minimum: Units that each weight keeps at least.
        seed: For scores that draw numbers.
        step: Optimizer steps so far, so that each draw is another.
        among: Masks in the matrix view: only what lives there may be kept.

    Raises:
        EvidenceError: The score needs evidence that is not there.
        ScoreError: A score is not a number; the weight is named.
        PatternError: The pattern does not fit a weight; it is named.
        BudgetError: The sparsity cannot be met.
    """
    weights = evidence["weight"]
    _refuse_missing(score, evidence)
    units = {
        name: _units(name, evidence, shapes[name], score, pattern, seed, step, among)
        for name in weights
    }
    counts = counts_of(units, sparsity, pattern, allocation, minimum)
    masks = {}
    for name, weight in weights.items():
        kept = pattern.choose(units[name].scores(), counts[name], name=name)
        masks[name] = pattern.expand(kept, tuple(weight.shape))
    return masks


def score_of(
    name: str, evidence: Evidence, score: Score, generator: Callable[[], Generator]
) -> Tensor:
    """``score`` of the weight called ``name``, in the matrix view.

    Raises:
        ScoreError: It is no tensor shaped like the weight.
    """
    parameters = inspect.signature(score).parameters
    given: dict[str, Tensor | Generator] = {
        kind: evidence[kind][name] for kind in parameters if kind in evidence
    }
    if "generator" in parameters:
        given["generator"] = generator()
    scores = score(**given)
    weight = evidence["weight"][name]
    if not isinstance(scores, Tensor) or scores.shape != weight.shape:
        found = f"shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else repr(scores)
        raise ScoreError(
            f"{_title(score)}() gave {name} scores of {found}; wanted one for each weight of its "
            f"matrix view, {tuple(weight.shape)}."
        )
    return scores


def wants(function: Callable[..., Tensor]) -> tuple[str, ...]:
    """The evidence that a score (or what ranks arrivals) cannot do without.

    Its parameters by name, but for the ``generator`` and those that have a default.

    Raises:
        EvidenceError: Its parameters cannot be read, as with ``torch.abs``.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        raise EvidenceError(
            f"{_title(function)} does not say what it takes. Wrap it: "
            f"def mine(weight): return {_title(function)}(weight)."
        ) from None
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return tuple(
        each.name
        for each in parameters
        if each.name != "generator"
        and each.default is inspect.Parameter.empty
        and each.kind not in open_ended
    )


def generator_for(seed: int, step: int, name: str, purpose: str) -> Generator:
    """A generator on the CPU that follows from its arguments alone.

    So the same numbers are drawn on every rank and device, however often a score is made again,
    and a run that resumes needs no more than its seed and its step.
    """
    text = f"{seed}/{step}/{name}/{purpose}".encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def _units(
    name: str,
    evidence: Evidence,
    shape: tuple[int, ...],
    score: Score,
    pattern: Pattern,
    seed: int,
    step: int,
    among: NamedTensors | None,
) -> Units:
    size = _size(name, pattern, tuple(evidence["weight"][name].shape))
    living = None if among is None else pattern.unit_scores(among[name].float()) > 0

    def scores() -> Tensor:
        made = score_of(name, evidence, score, lambda: generator_for(seed, step, name, "score"))
        units = pattern.unit_scores(made)
        if living is None:
            return units
        floating = units if units.is_floating_point() else units.double()
        return floating.masked_fill(~living, -torch.inf)

    return Units(size, size if living is None else int(living.sum()), shape, scores)


def _size(name: str, pattern: Pattern, shape: tuple[int, ...]) -> int:
    try:
        return pattern.size(shape)
    except PatternError as error:
        raise PatternError(f"{name}: {error}") from None


def counts_of(
    units: Mapping[str, Units],
    sparsity: float | None,
    pattern: Pattern,
    allocation: Allocation,
    minimum: int,
) -> dict[str, int]:
    """Units that each weight keeps.

    Args:
        units: What the allocation sees of each weight.
        sparsity: Share of all units removed; None where the pattern fixes it.
        pattern: What a unit is.
        allocation: How the units kept in all are spread.
        minimum: Units that each weight keeps at least.

    Raises:
        BudgetError: The sparsity cannot be met.
    """
    density = pattern.density
    if density is not None and sparsity is not None:
        raise BudgetError(
            f"the pattern {pattern} fixes the sparsity at {1 - density:g}, so {sparsity:g} cannot "
            "be asked beside it."
        )
    if density is not None:
        return {name: round(part.size * density) for name, part in units.items()}
    if sparsity is None:
        raise BudgetError(f"the pattern {pattern} fixes no sparsity: give one.")
    count = count_of(sparsity, sum(part.size for part in units.values()))
    counts = allocation(units, count, minimum)
    if sum(counts.values()) != count or set(counts) != set(units):
        raise BudgetError(
            f"the allocation {_title(allocation)} gave {sum(counts.values())} units to "
            f"{len(counts)} weights; wanted {count} for {len(units)}."
        )
    return counts


def _refuse_missing(score: Score, evidence: Evidence) -> None:
    wanted = wants(score)
    missing = [kind for kind in wanted if kind not in evidence]
    if missing:
        raise EvidenceError(
            f"the score {_title(score)} needs {', '.join(wanted)}; not there: "
            f"{', '.join(missing)}. Pass data= (and loss= if the model's output is no loss)."
        )


def _title(part: object) -> str:
    return getattr(part, "__name__", type(part).__name__)

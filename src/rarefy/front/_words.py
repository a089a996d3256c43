"""A method and its five words, as users write them, made into one value."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rarefy import allocation as allocations
from rarefy import growth as growths
from rarefy import methods, scores
from rarefy._types import Allocation, Score
from rarefy.errors import EvidenceError, PatternError, ScheduleError, UnknownName
from rarefy.growth import Growth
from rarefy.patterns import Unstructured
from rarefy.schedules import Every, Ramp
from rarefy.selection import named, pattern_of, wants
from rarefy.training import Method

Words = Mapping[str, Any]

_SCORED_BY = ("weight", "gradient")


def method_of(method: str | Method | Score | None, words: Words, *, trains: bool) -> Method:
    """The method, with the words given beside it put in.

    Args:
        method: A name, a value, a score (one shot with it), or None: ``gmp`` where the model
            trains, ``one_shot`` where it does not or where the pattern fixes the sparsity.
        words: score, pattern, allocation, when, growth; None where not given.
        trains: Whether an optimizer was given.

    Raises:
        UnknownName: No such method or part; the nearest is named.
        ScheduleError: Words that have nothing to do together.
    """
    given: dict[str, Any] = {
        word: _READ[word](value) for word, value in words.items() if value is not None
    }
    fixed = "pattern" in given and given["pattern"].density is not None
    base = _base(method, gradual=trains and not fixed)
    own: dict[str, Any] = {
        word: read(getattr(base, word)) for word, read in _READ.items() if word not in given
    }
    chosen = replace(base, **own, **given)
    _refuse_unknown(chosen)
    _refuse_idle(chosen)
    return chosen


def _base(method: str | Method | Score | None, *, gradual: bool) -> Method:
    if method is None:
        return methods.gmp() if gradual else methods.one_shot()
    if isinstance(method, Method):
        return method
    if not isinstance(method, str):
        return methods.one_shot(score=_score(method))
    try:
        made: Method = named(methods, method)()
    except UnknownName as unknown:
        try:
            return methods.one_shot(score=named(scores, method))
        except UnknownName as no_score:
            raise UnknownName(f"no method {method!r}: {unknown} {no_score}") from None
    return made


def _refuse_unknown(method: Method) -> None:
    arrivals = method.growth.arrivals
    for part, known in (
        (method.score, _SCORED_BY),
        (arrivals, (*_SCORED_BY, "momentum", "living")),
    ):
        odd = [kind for kind in wants(part) if kind not in known] if part is not None else []
        if odd:
            name = getattr(part, "__name__", part)
            raise EvidenceError(
                f"{name} needs {', '.join(odd)}, which nothing collects. What is collected: "
                f"{', '.join(known)}. Give a parameter of its own a default."
            )


def _refuse_idle(method: Method) -> None:
    grows = method.growth.arrivals is not None
    if isinstance(method.when, Ramp) and method.start != "dense":
        raise ScheduleError(
            f"{method.name} starts at its final sparsity, so when={method.when} has nothing to "
            "raise: use method='gmp' with it."
        )
    if grows and not method.moves:
        raise ScheduleError(
            f"{method.name} with growth={method.growth} exchanges weights while it trains, but "
            'when="once" leaves no time for it: give when="every 100 until 75%", or growth="none".'
        )
    if method.ramp is not None and not method.moves:
        raise ScheduleError(
            f'{method.name} raises the sparsity while the model trains, but when="once" leaves no '
            'time for it: use method="one_shot" to prune now, or when="every 100 until 75%".'
        )
    if method.moves and not grows and method.ramp is None:
        raise ScheduleError(
            f"{method.name} prunes once and grows nothing, so when={str(method.when)!r} has "
            'nothing to do: use method="gmp", or give growth=.'
        )
    if method.growth.redistributes and not isinstance(method.pattern, Unstructured):
        raise PatternError(
            f"{method.name} moves single weights between layers, so its pattern is unstructured; "
            f"found {method.pattern}. Give growth='momentum' for momentum growth within layers."
        )
    if method.ramp is not None and method.pattern.density is not None:
        raise PatternError(
            f"{method.name} raises the sparsity step by step, but {method.pattern} fixes it. "
            "Use method='one_shot', then train: the zeros are held."
        )


def _score(value: object) -> Score:
    if isinstance(value, str):
        found: Score = named(scores, value)
        return found
    return _called(value, "score", scores.__all__)


def _allocation(value: object) -> Allocation:
    if isinstance(value, str):
        found: Allocation = named(allocations, value)
        return found
    if isinstance(value, Mapping):
        return allocations.ByName(dict(value))
    return _called(value, "allocation", allocations.__all__)


def _when(value: object) -> str | Every | Ramp:
    if isinstance(value, str):
        return value.strip().lower()
    if isinstance(value, Every | Ramp):
        return value
    raise ScheduleError(
        f"when={value!r} is no schedule: write 'every 100 until 75%', 'once', or give a value of "
        "rarefy.schedules."
    )


def _growth(value: object) -> Growth:
    if isinstance(value, Growth):
        return value
    if isinstance(value, str):
        made: Growth = named(growths, value, _is_rule)()
        return made
    if _is_rule(value):
        rule: Growth = value()  # type: ignore[operator]  # a class of rules with defaults
        return rule
    rules = [name for name in growths.__all__ if _is_rule(getattr(growths, name))]
    return Growth(arrivals=_called(value, "growth", rules))


def _is_rule(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Growth) and value is not Growth


def _called(value: object, word: str, names: list[str]) -> Callable[..., Any]:
    if callable(value) and not inspect.isclass(value):
        return value
    raise UnknownName(
        f"{word}={value!r} is no {word}: give a function, or one of {', '.join(names)}."
    )


_READ: dict[str, Callable[[object], object]] = {
    "score": _score,
    "pattern": pattern_of,
    "allocation": _allocation,
    "when": _when,
    "growth": _growth,
}

"""What a user asked for, as a sparsity and a pattern: the two may each fix the other."""

from numbers import Real

from rarefy import patterns
from rarefy._apportion import count_of
from rarefy.errors import BudgetError, PatternError, UnknownName
from rarefy.patterns import Pattern


def asked(
    sparsity: float | str, pattern: Pattern | str | None
) -> tuple[float | None, Pattern | None]:
    """The sparsity as a number, None where a pattern fixes it, and the pattern, if there is one.

    Args:
        sparsity: A number in [0, 1), or the name of a pattern that fixes it, such as "2:4".
        pattern: A name or a value; beside a sparsity that it does not contradict.

    Raises:
        BudgetError: Not in [0, 1), or at odds with the pattern.
        PatternError: The text names a pattern that fixes no sparsity, or another one than given.
        UnknownName: No such pattern.
    """
    beside = None if pattern is None else pattern_of(pattern)
    if isinstance(sparsity, str):
        return None, _fixing(sparsity, beside)
    if isinstance(sparsity, bool) or not isinstance(sparsity, Real):
        raise BudgetError(
            f"sparsity is a number in [0, 1) or a pattern such as '2:4'; found {sparsity!r}."
        )
    sparsity = float(sparsity)
    count_of(sparsity, 1)
    if beside is None or beside.density is None:
        return sparsity, beside
    if abs((1 - beside.density) - sparsity) > 1e-9:
        raise BudgetError(
            f"{beside} fixes the sparsity at {1 - beside.density:g}; found {sparsity:g}. Give "
            f"'{beside}' as the sparsity."
        )
    return None, beside


def pattern_of(value: object) -> Pattern:
    """The pattern that a word or a value means.

    Raises:
        UnknownName: It is none.
    """
    if isinstance(value, str):
        return patterns.parse(value)
    if isinstance(value, Pattern):
        return value
    raise UnknownName(f"pattern={value!r} is no pattern: write unstructured, row, 2:4, block 4x1.")


def _fixing(text: str, beside: Pattern | None) -> Pattern:
    try:
        named = patterns.parse(text)
    except UnknownName as unknown:
        raise BudgetError(
            f"sparsity is a number in [0, 1) or a pattern that fixes it, such as '2:4'; "
            f"found {text!r}: {unknown}"
        ) from None
    if named.density is None:
        raise PatternError(
            f"the pattern {named} fixes no sparsity: give a number as the sparsity, such as 0.9, "
            f"and pattern='{named}' beside it."
        )
    if beside is not None and beside != named:
        raise PatternError(f"sparsity={text!r} and pattern='{beside}' contradict each other.")
    return named

"""What users type, made into what the library takes."""

from typing import Annotated

import typer

from rarefy.errors import BudgetError, UnknownName

Storage = Annotated[
    str,
    typer.Option(
        help="masked: dense weights with zeros, so dense speed and memory; compressed: only what "
        "lives is there.",
    ),
]


def sparsity_of(text: str) -> float | str:
    """``0.9`` as a number; anything else, such as ``2:4``, as it is, for the library to judge."""
    try:
        return float(text)
    except ValueError:
        return text


def settings_of(given: list[str]) -> dict[str, object]:
    """``["growth=momentum", "minimum=0", "allocation=^0=0.5"]`` by word.

    Raises:
        BadParameter: One is not written WORD=VALUE.
        BudgetError: ``minimum`` is no whole number, or a sparsity no number.
        UnknownName: Names and expressions are mixed for ``allocation``.
    """
    found: dict[str, object] = {}
    spread: list[str] = []
    for text in given:
        word, equals, value = text.partition("=")
        if not equals or not word or not value:
            raise typer.BadParameter(f"{text!r} is not written WORD=VALUE, as in growth=momentum.")
        word, value = word.strip(), value.strip()
        if word == "allocation":
            spread.append(value)
        else:
            found[word] = _minimum(value) if word == "minimum" else value
    return found | ({"allocation": allocation_of(spread)} if spread else {})


def allocation_of(given: list[str]) -> str | dict[str, float] | None:
    """``["global"]`` as a name; ``["fc.*=0.9", "conv.*=0.5"]`` as sparsity by regular expression.

    Raises:
        UnknownName: Names and expressions are mixed, or there are several names.
        BudgetError: A sparsity is no number.
    """
    if not given:
        return None
    if not any("=" in text for text in given):
        if len(given) > 1:
            raise UnknownName(f"one allocation at a time; found {', '.join(given)}.")
        return given[0]
    return dict(_expression(text) for text in given)


def _expression(text: str) -> tuple[str, float]:
    expression, equals, number = text.rpartition("=")
    if not equals:
        raise UnknownName(
            f"{text!r} is a name among expressions: give one name, or REGEX=SPARSITY each time."
        )
    try:
        return expression, float(number)
    except ValueError:
        raise BudgetError(
            f"allocation {text!r}: wanted REGEX=SPARSITY with a number, as in 'fc.*=0.9'."
        ) from None


def _minimum(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BudgetError(
            f"minimum is the number of units that every weight keeps; found {text!r}."
        ) from None

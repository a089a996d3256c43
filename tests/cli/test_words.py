"""What users type, as the library takes it."""

import pytest
import typer

from rarefy.cli._words import allocation_of, settings_of, sparsity_of
from rarefy.errors import BudgetError, UnknownName


@pytest.mark.parametrize(
    ("text", "wanted"), [("0.9", 0.9), ("90", 90.0), ("1e-1", 0.1), ("2:4", "2:4"), ("x", "x")]
)
def test_a_sparsity_is_a_number_or_words(text, wanted):
    assert sparsity_of(text) == wanted


def test_settings_are_words_and_values():
    given = ["growth=momentum", "minimum=0", "when=every 100 until 75%"]
    wanted = {"growth": "momentum", "minimum": 0, "when": "every 100 until 75%"}
    assert settings_of(given) == wanted


def test_allocations_among_settings_are_collected():
    assert settings_of(["allocation=lamp"]) == {"allocation": "lamp"}
    given = ["allocation=^0=.5", "growth=random", "allocation = a=b=0.25 "]
    wanted = {"growth": "random", "allocation": {"^0": 0.5, "a=b": 0.25}}
    assert settings_of(given) == wanted
    with pytest.raises(BudgetError, match="allocation 'fc=most'"):
        settings_of(["allocation=fc=most"])


@pytest.mark.parametrize("text", ["growth", "growth=", "=momentum", ""])
def test_a_setting_is_written_word_equals_value(text):
    with pytest.raises(typer.BadParameter, match="WORD=VALUE"):
        settings_of([text])


def test_a_minimum_is_a_whole_number():
    with pytest.raises(BudgetError, match="minimum"):
        settings_of(["minimum=half"])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], None),
        (["lamp"], "lamp"),
        (["fc.*=0.9", "a=b=0.5"], {"fc.*": 0.9, "a=b": 0.5}),
    ],
)
def test_an_allocation_is_a_name_or_expressions(given, wanted):
    assert allocation_of(given) == wanted


@pytest.mark.parametrize("given", [["lamp", "uniform"], ["lamp", "fc=0.5"]])
def test_names_do_not_mix(given):
    with pytest.raises(UnknownName):
        allocation_of(given)


def test_a_sparsity_by_expression_is_a_number():
    with pytest.raises(BudgetError, match="REGEX=SPARSITY"):
        allocation_of(["fc=most"])

"""Triggers as users write them."""

import pytest

from rarefy.errors import ScheduleError
from rarefy.schedules import Every, parse


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("every 100 until 75%", Every(steps=100, until=750)),
        ("every 100 until 75 %", Every(steps=100, until=750)),
        ("EVERY 100", Every(steps=100, until=750)),
        ("every", Every(steps=20, until=750)),
        ("every until 50%", Every(steps=20, until=500)),
        ("every 20 from 500 until 900", Every(steps=20, until=900, start=500)),
        ("every from 25% until 75%", Every(steps=20, until=750, start=250)),
        ("every 1 until 100%", Every(steps=1, until=999)),
        ("every 7 until 1000", Every(steps=7, until=999)),
    ],
)
def test_words_mean_triggers(words, wanted):
    assert parse(words, steps=1_000) == wanted


@pytest.mark.parametrize("words", ["every 20 until 400", "every 20 from 100 until 400"])
def test_a_trigger_reads_back(words):
    assert str(parse(words, steps=1_000)) == words


@pytest.mark.parametrize("words", ["", "now and then", "every ten", "every 5 until", "100", "once"])
def test_what_is_not_understood_is_refused_with_examples(words):
    with pytest.raises(ScheduleError, match=r"is not understood\. Write: every 100 until 75%"):
        parse(words, steps=1_000)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("every 100 until 120%", "at most 100%"),
        ("every 100 until 2000", "beyond the 1000 steps"),
        ("every 800", "never comes due in 1000 steps"),
        ("every 5 from 999 until 1000", "never comes due"),
        ("every 0", "steps >= 1"),
        ("every 5 from 800 until 700", "start <= until"),
    ],
)
def test_what_does_not_fit_is_refused(words, said):
    with pytest.raises(ScheduleError, match=said):
        parse(words, steps=1_000)

"""A method and its five words, as users write them."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy import allocation, growth, methods, patterns, scores
from rarefy.errors import UnknownName
from rarefy.front._words import method_of
from rarefy.growth import Growth, Random
from rarefy.schedules import Cubic, Every

NONE = dict.fromkeys(("score", "pattern", "allocation", "when", "growth"))


def read(method=None, *, trains=True, **words):
    return method_of(method, {**NONE, **words}, trains=trains)


def test_without_a_name_it_is_gmp_or_one_shot():
    assert read(trains=True) == methods.gmp()
    assert read(trains=False) == methods.one_shot()


def test_a_pattern_that_fixes_the_sparsity_is_pruned_at_once():
    assert read(pattern="2:4").name == "one_shot"


@pytest.mark.parametrize("name", methods.__all__)
def test_a_name_is_the_method_with_its_defaults(name):
    assert read(name.rstrip("_").upper()) == getattr(methods, name)()


@pytest.mark.parametrize("name", scores.__all__)
def test_a_score_is_a_method_by_name_and_as_a_function(name):
    score = getattr(scores, name)
    assert read(name) == read(score) == methods.one_shot(score=score)


def test_a_value_stays_as_it_is():
    method = methods.rigl(growth=Random(share=0.1))
    assert read(method) is not None
    assert read(method) == method


def power(weight, exponent=2):
    return weight.abs() ** exponent


@pytest.mark.parametrize(
    ("word", "given", "meant"),
    [
        ("score", "taylor", scores.taylor),
        ("score", power, power),
        ("pattern", "block 2x2", patterns.Block(2, 2)),
        ("pattern", patterns.Row(), patterns.Row()),
        ("allocation", "global", allocation.global_),
        ("allocation", "erdos_renyi", allocation.erdos_renyi),
        ("allocation", {"head": 0.5}, allocation.ByName({"head": 0.5})),
        ("allocation", allocation.lamp, allocation.lamp),
        ("when", "Every 100 until 75%", "every 100 until 75%"),
        ("when", Every(steps=3, until=9), Every(steps=3, until=9)),
        ("growth", "random", growth.Random()),
        ("growth", growth.Momentum, growth.Momentum()),
        ("growth", growth.Momentum(share=0.1), growth.Momentum(share=0.1)),
        ("growth", power, Growth(arrivals=power)),
    ],
)
def test_each_word_is_read_in_every_way(word, given, meant):
    method = read("rigl", **{word: given})
    assert getattr(method, word) == meant
    assert {w: v for w, v in vars(method).items() if w != word} == {
        w: v for w, v in vars(methods.rigl()).items() if w != word
    }


def test_a_schedule_can_be_given_as_a_ramp():
    ramp = Cubic(final=0.9, end=50)
    assert read("gmp", when=ramp).when == ramp


def test_once_is_once_however_it_is_written():
    assert not read("static", when=" Once ").moves


def test_growth_none_makes_gmp_of_gmp():
    assert read("gmp", growth="none") == methods.gmp()


@pytest.mark.parametrize(
    ("word", "odd"),
    [
        ("score", 3),
        ("score", nn.Linear),
        ("allocation", 0.5),
        ("growth", Growth),
        ("growth", 0.3),
        ("pattern", 4),
    ],
)
def test_what_is_no_part_is_refused_with_the_word(word, odd):
    with pytest.raises(UnknownName, match=f"{word}="):
        read("rigl", **{word: odd})


def test_an_unknown_method_is_told_methods_and_scores():
    with pytest.raises(UnknownName) as refused:
        read("magnitud")
    said = str(refused.value)
    assert "no method 'magnitud'" in said
    assert "Did you mean 'magnitude'?" in said
    assert "rigl" in said


def test_the_words_of_a_sparsifier_say_what_it_does():
    model = nn.Linear(8, 8)
    sparsifier = rarefy.sparsify(
        model,
        0.5,
        "rigl",
        optimizer=torch.optim.SGD(model.parameters()),
        steps=200,
        growth="random",
        pattern="block 2x2",
    )
    assert sparsifier.words == {
        "score": "magnitude",
        "pattern": "block 2x2",
        "allocation": "erdos_renyi_kernel",
        "when": "every 5 until 150",
        "growth": "random",
    }

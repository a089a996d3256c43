"""What every method promises. A new one is tested by being exported; nothing is listed here."""

import inspect

import pytest
import torch
from torch import nn

import rarefy
from rarefy import allocation, growth, methods, scores
from rarefy.growth import Growth
from rarefy.patterns import Row, parse
from rarefy.selection import named
from rarefy.training import Method

every_method = pytest.mark.parametrize("make", [getattr(methods, n) for n in methods.__all__])
WORDS = ("score", "pattern", "allocation", "when", "growth")


def name_of(make):
    return make.__name__.rstrip("_")


def is_rule(value):
    return inspect.isclass(value) and issubclass(value, Growth)


def trained(method, steps=30, sparsity=0.8, **words):
    """A small net trained by ``method`` on a loss with known gradients; its Sparsifier."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 6))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    sparsifier = rarefy.sparsify(
        model, sparsity, method, optimizer=optimizer, steps=steps, seed=0, **words
    )
    inputs, target = torch.randn(16, 12), torch.randint(6, (16,))
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), target).backward()
        optimizer.step()
    sparsifier.check()
    return model, sparsifier


def test_the_room_is_sorted():
    assert methods.__all__ == sorted(methods.__all__)


@every_method
def test_it_is_a_value_of_its_own_name(make):
    method = make()
    assert isinstance(method, Method)
    assert method.name == name_of(make)
    assert method == make()


@every_method
def test_its_words_are_its_keywords(make):
    assert tuple(inspect.signature(make).parameters) == WORDS
    assert set(make().words) == set(WORDS)


@every_method
def test_its_words_mean_its_parts(make):
    method = make()
    assert named(scores, method.words["score"]) is method.score
    assert named(allocation, method.words["allocation"]) is method.allocation
    assert parse(method.words["pattern"]) == method.pattern
    assert named(growth, method.words["growth"], is_rule) is type(method.growth)


@every_method
def test_every_word_has_an_effect(make):
    def mine(weight):
        return weight

    changed = {
        "score": mine,
        "pattern": Row(),
        "allocation": allocation.lamp,
        "when": "every 3 until 60%",
        "growth": growth.Random(share=0.123),
    }
    for word, value in changed.items():
        method = make(**{word: value})
        assert getattr(method, word) == value
        assert method != make()


@every_method
def test_it_trains_a_net_to_exactly_what_was_asked(make):
    model, sparsifier = trained(name_of(make))
    assert sparsifier.masks.kept == 36
    assert sum(int((p != 0).sum()) for p in model.parameters() if p.dim() > 1) <= 36


@every_method
def test_a_value_does_what_its_name_does(make):
    one, _ = trained(name_of(make))
    other, _ = trained(make())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@every_method
def test_it_says_what_it_does_in_its_first_line_and_where_it_is_from(make):
    assert "\n" not in make.__doc__.split("\n\n")[0]
    assert "20" in make.__doc__, "name the paper"

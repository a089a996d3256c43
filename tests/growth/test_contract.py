"""What every growth rule promises. A new one is tested by being exported."""

import functools
import inspect

import pytest
import torch

from rarefy import growth
from rarefy.errors import BudgetError
from rarefy.growth import Growth, smallest

RULES = [
    part
    for name in growth.__all__
    if inspect.isclass(part := getattr(growth, name))
    and issubclass(part, Growth)
    and part is not Growth
]
# A rule that has to be told about the weights is told here; its shape is SHAPE's.
GIVEN = {"Neighbours": {"outputs": (2, 2), "inputs": (2, 3)}}
DROPS = [growth.smallest, growth.smallest_of_each_sign]
every_rule = pytest.mark.parametrize(
    "rule", [functools.partial(rule, **GIVEN.get(rule.__name__, {})) for rule in RULES]
)
every_drop = pytest.mark.parametrize("drop", DROPS)
KNOWN = {"weight", "gradient", "momentum", "living"}
SHAPE = (1, 4, 6, 1)


def scored(rule):
    numbers = torch.Generator().manual_seed(0)
    given = {kind: torch.randn(SHAPE, generator=numbers) for kind in rule.evidence}
    if "living" in given:
        given["living"] = given["living"] > 0
    if "generator" in inspect.signature(rule.arrivals).parameters:
        given["generator"] = torch.Generator().manual_seed(3)
    return rule.arrivals(**given)


def test_the_room_is_sorted():
    assert growth.__all__ == sorted(growth.__all__)


@every_rule
def test_it_is_built_with_its_defaults(rule):
    assert rule() == rule()
    assert str(rule()) == rule.func.__name__.lower().rstrip("_")


@every_rule
def test_it_asks_only_for_known_evidence(rule):
    assert set(rule().evidence) <= KNOWN


@every_rule
def test_it_scores_every_place_and_touches_no_global_random_state(rule):
    if rule().arrivals is None:
        return
    before = torch.get_rng_state()
    found = scored(rule())
    assert found.shape == SHAPE
    assert found.isfinite().all()
    assert torch.equal(found, scored(rule()))
    assert torch.equal(torch.get_rng_state(), before)


@every_rule
@pytest.mark.parametrize(
    "odd",
    [
        {"share": 1.0},
        {"share": -0.1},
        {"share": 0.1, "final": 0.2},
        {"decay": "linear"},
        {"start": "uniform"},
    ],
)
def test_odd_numbers_and_words_are_refused(rule, odd):
    with pytest.raises(BudgetError, match=r"growth .*; found"):
        rule(**odd)


@every_rule
def test_it_says_what_it_does_in_its_first_line(rule):
    assert "\n" not in rule.func.__doc__.split("\n\n")[0]


@every_drop
@pytest.mark.parametrize("count", [0, 1, 5, 12])
@pytest.mark.parametrize("fill", [None, 0.0, 2.0])
def test_a_drop_takes_exactly_the_count_from_the_living(drop, count, fill):
    torch.manual_seed(0)
    weight = torch.randn(SHAPE) if fill is None else torch.full(SHAPE, fill)
    kept = (torch.arange(24) % 2 == 0).reshape(SHAPE)
    gone = drop(weight.abs(), weight.sign(), kept, count)
    assert gone.dtype is torch.bool
    assert int(gone.sum()) == count
    assert not (gone & ~kept).any()


@every_drop
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_drop_takes_any_dtype(drop, dtype):
    weight = torch.linspace(-1, 1, 24).to(dtype)
    gone = drop(weight.abs(), weight.sign(), torch.ones(24, dtype=torch.bool), 7)
    assert int(gone.sum()) == 7


def test_every_rule_drops_the_smallest_unless_told_otherwise():
    assert all(rule.drop is smallest for rule in RULES)

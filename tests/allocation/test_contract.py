"""What every allocation promises. A new one is tested by being exported; nothing is listed here."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rarefy import allocation
from rarefy._types import Units
from rarefy.errors import BudgetError

every_allocation = pytest.mark.parametrize(
    "part",
    [
        value if inspect.isfunction(value := getattr(allocation, name)) else value({"first": 0.5})
        for name in allocation.__all__
    ],
    ids=allocation.__all__,
)


def units_of(name, shape, capacity=None, fill=None):
    size = torch.Size(shape).numel()
    numbers = torch.Generator().manual_seed(size + len(name))
    scores = torch.rand(size, generator=numbers) if fill is None else torch.full((size,), fill)
    capacity = size if capacity is None else capacity
    scores[capacity:] = -float("inf")
    return Units(size, capacity, shape, lambda: scores.reshape(shape).clone())


def model(**changed):
    shapes = {"first": (10, 40), "second": (20, 10), "kernels": (8, 4, 3, 3), "head": (5, 20)}
    return {name: units_of(name, shape, **changed) for name, shape in shapes.items()}


def test_the_room_is_sorted():
    assert allocation.__all__ == sorted(allocation.__all__)


@every_allocation
@pytest.mark.parametrize("count", [250, 300, 500, 700])
def test_counts_add_up_in_the_order_of_the_weights(part, count):
    units = model()
    counts = part(units, count)
    assert list(counts) == list(units)
    assert sum(counts.values()) == count
    assert all(isinstance(kept, int) for kept in counts.values())
    assert all(1 <= counts[name] <= units[name].size for name in units)


@every_allocation
@pytest.mark.parametrize("minimum", [0, 1, 7])
def test_each_weight_keeps_its_minimum(part, minimum):
    counts = part(model(), 230, minimum)
    assert sum(counts.values()) == 230
    assert min(counts.values()) >= minimum


@every_allocation
def test_a_weight_keeps_no_more_than_its_capacity(part):
    units = model() | {"second": units_of("second", (20, 10), capacity=30)}
    counts = part(units, 600)
    assert sum(counts.values()) == 600
    assert counts["second"] <= 30


@every_allocation
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_equal_scores_change_no_sum(part, fill):
    assert sum(part(model(fill=fill), 333).values()) == 333


@every_allocation
def test_more_than_there_is_is_refused(part):
    with pytest.raises(BudgetError):
        part(model(), 989)


@every_allocation
def test_less_than_the_minima_is_refused(part):
    with pytest.raises(BudgetError):
        part(model(), 200, 90)


@every_allocation
def test_the_order_of_the_weights_does_not_matter(part):
    units = model()
    turned = {name: units[name] for name in reversed(units)}
    assert part(turned, 412) == part(units, 412)


@every_allocation
def test_the_scores_are_left_alone(part):
    units = model()
    before = {name: each.scores() for name, each in units.items()}
    part(units, 400)
    assert all(torch.equal(units[name].scores(), before[name]) for name in units)


shapes = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3), st.integers(1, 3)),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize(
    "part", [getattr(allocation, n) for n in allocation.__all__ if n.islower()], ids=str
)
@settings(deadline=None, max_examples=20)
@given(
    shapes=shapes, minimum=st.integers(0, 3), fill=st.sampled_from([None, 0.0, 1.0]), data=st.data()
)
def test_any_count_that_can_be_met_is_met(part, shapes, minimum, fill, data):
    units = {}
    for place, shape in enumerate(shapes):
        size = torch.Size(shape).numel()
        room = data.draw(st.integers(0, size))
        units[str(place)] = units_of(str(place), shape, capacity=room, fill=fill)
    least = {n: min(minimum, each.capacity) for n, each in units.items()}
    most = sum(each.capacity for each in units.values())
    count = data.draw(st.integers(sum(least.values()), most))
    counts = part(units, count, minimum)
    assert sum(counts.values()) == count
    assert all(least[n] <= counts[n] <= units[n].capacity for n in units)


@every_allocation
def test_it_says_what_it_does_in_its_first_line(part):
    doc = part.__doc__
    assert "\n" not in doc.split("\n\n")[0]

"""Parts by name, over every room that is looked up."""

import inspect

import pytest

from rarefy import allocation, growth, methods, scores
from rarefy.errors import UnknownName
from rarefy.growth import Growth
from rarefy.selection import named


def is_rule(value):
    return inspect.isclass(value) and issubclass(value, Growth)


@pytest.mark.parametrize("room", [scores, allocation, methods])
def test_every_function_of_a_room_is_found_by_its_name(room):
    functions = [n for n in room.__all__ if inspect.isfunction(getattr(room, n))]
    assert functions
    for name in functions:
        assert named(room, name.rstrip("_")) is getattr(room, name)
        assert named(room, f"  {name.upper()} ") is getattr(room, name)


def test_a_trailing_underscore_is_dropped():
    assert named(methods, "set") is methods.set_
    assert named(allocation, "global") is allocation.global_
    assert named(growth, "none", is_rule) is growth.None_


def test_only_what_fits_is_found():
    with pytest.raises(UnknownName):
        named(growth, "exchange", is_rule)
    with pytest.raises(UnknownName):
        named(allocation, "byname")


def test_an_unknown_name_gets_the_nearest_and_the_whole_list():
    with pytest.raises(UnknownName) as refused:
        named(scores, "magnitud")
    said = str(refused.value)
    assert "rarefy.scores has no 'magnitud'" in said
    assert "Did you mean 'magnitude'?" in said
    assert "It has: gradient, magnitude, random, taylor" in said


def test_a_name_that_is_near_nothing_gets_the_list():
    with pytest.raises(UnknownName, match=r"no 'xyz'\. It has: "):
        named(scores, "xyz")

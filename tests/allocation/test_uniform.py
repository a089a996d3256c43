"""The same share everywhere."""

from rarefy._types import Units
from rarefy.allocation import uniform


def unscored(size, capacity=None):
    def never():
        raise AssertionError("uniform looks at no score")

    return Units(size, size if capacity is None else capacity, (size, 1), never)


def test_each_weight_keeps_its_share_without_being_scored():
    assert uniform({"a": unscored(1000), "b": unscored(200)}, 120) == {"a": 100, "b": 20}


def test_what_rounding_leaves_over_goes_to_the_largest_remainder():
    # 10 % of 15, 15 and 14: 1.5, 1.5, 1.4 of the 4 asked -> quotas 1.36, 1.36, 1.27
    assert uniform({"a": unscored(15), "b": unscored(15), "c": unscored(14)}, 4) == {
        "a": 2,
        "b": 1,
        "c": 1,
    }


def test_what_is_gone_for_good_is_made_up_elsewhere():
    assert uniform({"a": unscored(100, capacity=10), "b": unscored(100)}, 100) == {"a": 10, "b": 90}

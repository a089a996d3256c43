"""Whole numbers from shares: hand-worked splits, and what always holds."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rarefy._apportion import apportion, count_of
from rarefy.errors import BudgetError

PLENTY = dict.fromkeys("abcd", 10**6)


def test_largest_remainders_get_what_rounding_leaves():
    # quotas 10 * (.35, .35, .30) = 3.5, 3.5, 3.0: the first of the two equal remainders wins
    assert apportion({"a": 35, "b": 35, "c": 30}, 10, capacity=PLENTY) == {"a": 4, "b": 3, "c": 3}


def test_equal_remainders_go_to_the_earlier_name_whatever_its_size():
    # quotas 2.6 and 5.6 and 3.8 -> 3.8 first, then the tie of .6 goes to the earlier
    split = apportion({"a": 26, "b": 56, "c": 38}, 12, capacity=PLENTY)
    assert split == {"a": 3, "b": 5, "c": 4}


def test_what_a_full_one_cannot_take_goes_to_the_others_in_proportion():
    # a alone would get 12 of 16; 4 fit; the 12 left are split 3:1 between b and c
    split = apportion({"a": 12, "b": 3, "c": 1}, 16, capacity={"a": 4, "b": 50, "c": 50})
    assert split == {"a": 4, "b": 9, "c": 3}


def test_a_minimum_is_taken_from_the_others():
    assert apportion({"a": 98, "b": 1, "c": 1}, 10, capacity=PLENTY, minimum=1) == {
        "a": 8,
        "b": 1,
        "c": 1,
    }


def test_a_minimum_above_the_capacity_asks_for_the_capacity_only():
    assert apportion({"a": 1, "b": 1}, 9, capacity={"a": 2, "b": 50}, minimum=5) == {"a": 2, "b": 7}


def test_the_excess_of_a_full_one_can_save_another_from_its_minimum():
    # at first b's quota is 0.5; a's excess lifts it to 4.5 of 9 with c
    split = apportion(
        {"a": 9, "b": 0.5, "c": 0.5}, 10, capacity={"a": 1, "b": 9, "c": 9}, minimum=1
    )
    assert split == {"a": 1, "b": 5, "c": 4}


def test_shares_that_are_all_zero_are_equal():
    assert apportion({"a": 0, "b": 0, "c": 0}, 7, capacity=PLENTY) == {"a": 3, "b": 2, "c": 2}


def test_open_ones_of_no_worth_take_what_full_ones_leave():
    assert apportion({"a": 1, "b": 0, "c": 0}, 9, capacity={"a": 3, "b": 9, "c": 9}) == {
        "a": 3,
        "b": 3,
        "c": 3,
    }


def test_nothing_among_nobody_is_nothing():
    assert apportion({}, 0, capacity={}) == {}


def test_billions_are_split_to_the_unit():
    split = apportion({"a": 1, "b": 2}, 10**17 + 1, capacity={"a": 10**18, "b": 10**18})
    assert split == {"a": 33333333333333334, "b": 66666666666666667}


@pytest.mark.parametrize("total", [1, 13])
def test_more_or_less_than_fits_is_refused_with_the_way_out(total):
    with pytest.raises(BudgetError, match=rf"cannot keep {total} units.*minimum=0"):
        apportion({"a": 1, "b": 1}, total, capacity={"a": 6, "b": 6}, minimum=1)


@pytest.mark.parametrize("share", [math.nan, math.inf, -1.0])
def test_a_share_that_is_none_is_refused_by_name(share):
    with pytest.raises(BudgetError, match="b has a share"):
        apportion({"a": 1.0, "b": share}, 3, capacity=PLENTY)


names = st.lists(st.tuples(st.floats(0, 1e9), st.integers(0, 50)), min_size=1, max_size=6)


@settings(deadline=None)
@given(names, st.integers(0, 3), st.data())
def test_counts_add_up_within_their_bounds(parts, minimum, data):
    shares = {str(i): share for i, (share, _) in enumerate(parts)}
    capacity = {str(i): room for i, (_, room) in enumerate(parts)}
    least = {name: min(minimum, room) for name, room in capacity.items()}
    total = data.draw(st.integers(sum(least.values()), sum(capacity.values())))
    counts = apportion(shares, total, capacity=capacity, minimum=minimum)
    assert list(counts) == list(shares)
    assert sum(counts.values()) == total
    assert all(least[n] <= counts[n] <= capacity[n] for n in counts)


@settings(deadline=None)
@given(names, st.integers(0, 3), st.data())
def test_no_share_is_more_than_a_unit_off_the_one_fair_scale(parts, minimum, data):
    """Some scale L has |count - clip(L * share, least, capacity)| < 1 for every name."""
    shares = {str(i): Fraction(share) for i, (share, _) in enumerate(parts) if share > 1e-3}
    if not shares:
        return
    capacity = {str(i): room for i, (_, room) in enumerate(parts)}
    least = {n: min(minimum, capacity[n]) for n in shares}
    total = data.draw(st.integers(sum(least.values()), sum(capacity[n] for n in shares)))
    counts = apportion(
        {n: float(s) for n, s in shares.items()}, total, capacity=capacity, minimum=minimum
    )
    # count - 1 < clip(L s) < count + 1 bounds L from both sides
    low = max(
        (Fraction(counts[n] - 1) / shares[n] for n in shares if counts[n] > least[n]), default=0
    )
    high = min(
        (Fraction(counts[n] + 1) / shares[n] for n in shares if counts[n] < capacity[n]),
        default=low + 1,
    )
    assert low < high


@settings(deadline=None)
@given(st.permutations(["a", "b", "c", "d"]), st.integers(4, 40))
def test_the_order_of_the_names_matters_only_in_ties(order, total):
    shares = {"a": 0.1, "b": 0.7, "c": 1 / 3, "d": 2.1}
    plain = apportion(shares, total, capacity=PLENTY, minimum=1)
    assert apportion({n: shares[n] for n in order}, total, capacity=PLENTY, minimum=1) == plain


@pytest.mark.parametrize(
    ("sparsity", "size", "kept"),
    [(0.9, 1_000, 100), (0.0, 7, 7), (0.999, 10, 0), (0.3, 10, 7), (0.95, 266_200, 13_310)],
)
def test_a_sparsity_becomes_a_count(sparsity, size, kept):
    assert count_of(sparsity, size) == kept


@pytest.mark.parametrize("sparsity", [1, 1.0, -0.1, math.nan, math.inf, 90])
def test_what_is_no_sparsity_is_refused(sparsity):
    with pytest.raises(BudgetError, match=r"in \[0, 1\); found"):
        count_of(sparsity, 10)


def test_a_percentage_is_guessed():
    with pytest.raises(BudgetError, match=r"Did you mean 0\.9\?"):
        count_of(90, 10)

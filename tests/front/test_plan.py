"""A method fitted into a run."""

import numpy as np
import pytest

from rarefy import methods
from rarefy.allocation import ByName
from rarefy.errors import BudgetError
from rarefy.front._plan import fit
from rarefy.schedules import Cubic, Every, Linear, Once


def fitted(method, sparsity=0.9, steps=1_000, minimum=1):
    return fit(method, sparsity, steps=steps, trains=True, minimum=minimum, seed=3)


def test_once_needs_no_steps():
    plan = fitted(methods.static(), steps=None)
    assert (plan.trigger, plan.ramp, plan.seed) == (None, None, 3)


def test_rigl_exchanges_until_three_quarters():
    assert fitted(methods.rigl()).trigger == Every(steps=20, until=750)
    assert fitted(methods.rigl(), steps=10_000).trigger == Every(steps=100, until=7_500)


def test_gmp_rises_between_a_quarter_and_three_quarters():
    plan = fitted(methods.gmp())
    assert plan.trigger == Every(steps=20, until=750, start=250)
    assert plan.ramp == Cubic(final=0.9, start=250, end=750)


def test_numbers_of_numpy_are_numbers():
    plan = fitted(methods.gmp(), steps=np.int64(1_000), minimum=np.int32(2))
    assert plan.trigger == Every(steps=20, until=750, start=250)
    assert plan.minimum == 2


def test_a_trigger_of_ones_own_sets_the_ramp():
    plan = fitted(methods.gmp(when=Every(steps=7, start=5, until=60)), steps=None)
    assert plan.ramp == Cubic(final=0.9, start=5, end=60)
    assert plan.due(60), "it lands on the end though 7 does not divide 55"


def test_a_ramp_of_ones_own_sets_the_trigger():
    ramp = Linear(final=0.9, start=100, end=500)
    plan = fitted(methods.gmp(when=ramp))
    assert plan.ramp is ramp
    assert plan.trigger == Every(steps=20, start=100, until=500)


def test_a_ramp_of_one_moment_comes_due_once():
    plan = fitted(methods.gmp(when=Once(final=0.9, start=70, end=70)))
    assert [step for step in range(1_001) if plan.due(step)] == [70, 71]


def test_a_table_holds_where_the_ramp_ends():
    plan = fitted(methods.gmp(allocation=ByName({"a": 0.5})), sparsity=0.8)
    assert plan.method.allocation == ByName({"a": 0.5}, final=0.8)
    assert fitted(methods.static(allocation=ByName({"a": 0.5}))).method.allocation.final is None


def test_every_method_fits_into_a_usual_run():
    for name in methods.__all__:
        plan = fitted(getattr(methods, name)())
        assert (plan.trigger is not None) == plan.method.moves


@pytest.mark.parametrize("minimum", [True, "1", None])
def test_a_minimum_is_a_whole_number(minimum):
    with pytest.raises(BudgetError, match="0 or more; found"):
        fitted(methods.static(), minimum=minimum)

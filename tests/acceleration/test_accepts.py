"""Which calls captured code takes: names, types, sizes and constants, one refusal each."""

import pytest
import torch

from rarefy.acceleration._accepts import Accepts, TensorWanted, wanted_of
from rarefy.acceleration._arguments import Constant, TensorLike
from rarefy.acceleration._conditions import conditions

WANTED = {"x": TensorWanted(torch.float32, (None, 4), (1, 1)), "flag": Constant(True)}
ACCEPTS = Accepts(("x", "flag"), WANTED)
X = torch.ones(3, 4)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((X, True), {}), ((X,), {"flag": True}), ((), {"flag": True, "x": X})]
)
def test_values_come_in_the_order_of_the_code_however_they_are_given(args, kwargs):
    x, flag = ACCEPTS.values(args, kwargs)
    assert x is X
    assert flag is True


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((X,), {}),
        ((X, True, 1), {}),
        ((X, True), {"more": 1}),
        ((X, True), {"x": X}),
        ((X,), {"x": X}),
        ((X,), {"other": True}),
        ((X, False), {}),
        ((X, 1), {}),
        ((X.double(), True), {}),
        ((X[0], True), {}),
        ((torch.ones(3, 5), True), {}),
        ((torch.ones(0, 4), True), {}),
        ((torch.ones(3, 4, device="meta"), True), {}),
        ((X.to_sparse(), True), {}),
        (([1.0], True), {}),
    ],
)
def test_any_other_call_is_refused(args, kwargs):
    assert ACCEPTS.values(args, kwargs) is None


def test_an_input_that_wants_a_gradient_is_refused_only_where_gradients_are_recorded():
    x = X.clone().requires_grad_()
    assert ACCEPTS.values((x, True), {}) is None
    with torch.no_grad():
        assert ACCEPTS.values((x, True), {}) is not None


def test_conditions_on_sizes_are_asked():
    square = Accepts(
        ("x",),
        {"x": TensorWanted(torch.float32, (None, None), (1, 1))},
        conditions(["L['x'].size()[0] == L['x'].size()[1]"]),
    )
    assert square.values((torch.ones(3, 3),), {}) is not None
    assert square.values((torch.ones(3, 2),), {}) is None


def test_a_size_of_one_can_be_refused_at_open_sides():
    stricter = ACCEPTS.not_one({"x": frozenset({0}), "flag": frozenset({0})})
    assert stricter.values((X[:1], True), {}) is None
    assert stricter.values((X[:2], True), {}) is not None
    assert ACCEPTS.values((X[:1], True), {}) is not None


def test_wanted_of_keeps_constants_and_pins_sides():
    assert wanted_of(Constant(3), ()) == Constant(3)
    found = wanted_of(TensorLike((2, 5), torch.int64), (None, 5))
    assert found == TensorWanted(torch.int64, (None, 5), (1, 1))

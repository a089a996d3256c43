"""Training costs against the published table and against the sum over steps."""

import pytest

from rarefy.errors import BudgetError, UnknownName
from rarefy.metrics import training_cost


@pytest.mark.parametrize(
    ("share", "rigl", "snfs"), [(0.2, 0.2026, 0.467), (0.1, 0.1030, 0.400), (0.05, 0.0531, 0.367)]
)
def test_published_costs(share, rigl, snfs):
    assert training_cost("rigl", share, every=100) == pytest.approx(rigl, abs=5e-5)
    assert training_cost("snfs", share) == pytest.approx(snfs, abs=5e-4)
    assert training_cost("static", share) == training_cost("set", share) == share


def test_rigl_is_the_mean_of_its_steps():
    dense, sparse, every = 1.0, 0.1, 4
    steps = [3 * sparse] * every + [2 * sparse + dense]
    assert training_cost("rigl", sparse, every=every) == pytest.approx(
        sum(steps) / len(steps) / (3 * dense)
    )


def test_dense_weights_cost_what_dense_training_costs():
    for method in ("dense", "gmp", "static", "set", "rigl", "snfs"):
        assert training_cost(method, 1.0) == pytest.approx(1.0)


def test_bad_input_is_refused():
    with pytest.raises(UnknownName, match="snfs"):
        training_cost("lottery", 0.1)
    with pytest.raises(BudgetError, match="share=90"):
        training_cost("set", 90)
    with pytest.raises(BudgetError, match="every=0"):
        training_cost("rigl", 0.1, every=0)

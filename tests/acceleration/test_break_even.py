"""From which sparsity on sparse wins: crossings worked by hand, and a layer with told times."""

import pytest

from rarefy.acceleration._break_even import SPARSITIES, add_break_even, break_even, crossing
from rarefy.acceleration._judge import Judge
from rarefy.acceleration._time import Stopwatch
from rarefy.acceleration._timings import Timings


class Rising(Stopwatch):
    """The sparser, the faster: by the order in which sparsities are asked for."""

    def __init__(self, offset):
        super().__init__()
        self.offset, self.asked = offset, 0

    def compare(self, calls):  # noqa: D102
        assert set(calls) == {"dense", "float32"}
        sparsity = SPARSITIES[self.asked]
        self.asked += 1
        return {"dense": sparsity + self.offset, "float32": 1.0}


ROW = {"op": "linear", "shape": [64, 64], "input": [2, 3, 64], "dense": 1.0}
CONV = {**ROW, "op": "conv", "shape": [8, 8, 3, 3], "input": [1, 8, 5, 5], "stride": [1, 1]}


@pytest.mark.parametrize(
    ("gains", "wanted"),
    [
        ((-1.0, 1.0, 3.0), 0.6),
        ((-1.0, -3.0, 1.0), 0.85),
        ((1.0, -1.0, 1.0), 0.8),
        ((1.0, 2.0, 3.0), 0.5),
        ((-1.0, 0.0, 1.0), 0.7),
        ((1.0, 1.0, -0.1), 1.0),
    ],
)
def test_the_last_upward_crossing_counts(gains, wanted):
    assert crossing((0.5, 0.7, 0.9), gains) == pytest.approx(wanted)


@pytest.mark.parametrize("row", [ROW, {**CONV, "pad": [1, 1]}])
def test_it_is_found_between_the_sparsities_that_were_timed(row):
    # dense / sparse = sparsity + 0.45, and 1.1 is wanted: 0.65.
    assert break_even(row, Judge(0.1, Rising(0.45), Timings(None))) == pytest.approx(0.65)


def test_a_layer_that_never_wins_wins_from_one_on():
    assert break_even(ROW, Judge(0.1, Rising(0.0), Timings(None))) == 1.0


def test_only_rows_that_were_timed_get_one():
    record = {"margin": 0.1, "layers": [dict(ROW), {**ROW, "dense": None}]}
    add_break_even(record, Judge(0.1, Rising(0.45), Timings(None)))
    assert record["layers"][0]["break_even"] == pytest.approx(0.65)
    assert "break_even" not in record["layers"][1]

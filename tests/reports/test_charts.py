"""Charts as data."""

import html
import json
import re
import sys

import pytest

from rarefy.errors import MissingExtra
from rarefy.reports import _charts
from rarefy.reports._histogram import Histogram


def spec(text):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', text).group(1))


def test_a_histogram_has_its_bins():
    text = _charts.histogram("0.weight", Histogram(-1.0, 1.0, (3, 1), 0))
    trace = spec(text)["data"][0]
    assert (trace["x"], trace["y"], trace["width"]) == ([-0.5, 0.5], [3, 1], 1.0)
    assert 'aria-label="Histogram of the 4 kept values of 0.weight, from -1 to 1"' in text


def test_no_value_no_histogram():
    assert _charts.histogram("0.weight", Histogram(0.0, 0.0, (), 2)) == ""


def test_each_number_has_a_curve_and_each_run_a_line():
    histories = {
        "a": [{"step": 0, "loss": 2.0}, {"step": 5, "loss": 1.0, "churn": 0.5}],
        "b": [{"step": 0, "loss": 3.0}, {"step": 7, "churn": 0.2}, {"step": 9, "churn": 0.1}],
    }
    loss, churn = (spec(text) for text in _charts.curves(histories))
    assert [(line["name"], line["x"], line["y"]) for line in loss["data"]] == [
        ("a", [0, 5], [2.0, 1.0]),
        ("b", [0], [3.0]),
    ]
    assert [line["x"] for line in churn["data"]] == [[5], [7, 9]]
    assert loss["data"][0]["line"]["color"] != loss["data"][1]["line"]["color"]
    assert loss["layout"]["showlegend"]


def test_a_single_point_is_no_curve():
    assert _charts.curves({"a": [{"step": 0, "sparsity": 0.9}]}) == []


def test_numbers_that_are_not_finite_leave_a_gap():
    history = [{"step": 0, "loss": 1.0}, {"step": 1, "loss": float("nan")}]
    assert spec(_charts.curves({"a": history})[0])["data"][0]["y"] == [1.0, None]


def test_bars_carry_their_spread():
    text = _charts.bars("latency", "ms", {"a": 2.0}, {"a": (1.5, 3.0)})
    error = spec(text)["data"][0]["error_x"]
    assert (error["array"], error["arrayminus"]) == ([1.0], [0.5])


def test_a_name_cannot_leave_its_place():
    evil = '</script><img src=x onerror="alert(1)">'
    text = _charts.chart(evil, evil, [{"name": evil}])
    assert text.count("</script>") == 1
    assert "<img" not in text
    assert spec(text)["data"][0]["name"] == evil
    assert html.escape(evil) in text
    shown = spec(_charts.bars("t", "u", {evil: 1.0}))["data"][0]["y"][0]
    assert "<" not in shown  # plotly would read tags in a label


def test_without_the_library_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingExtra, match=r"pip install 'rarefy\[plot\]'"):
        _charts.library()

"""The bars of the speed benchmarks: when one is met."""

import importlib.util
import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from rarefy.lab.speed import Case, Entry, Ready, Refused, Timing

PATH = Path(__file__).parents[1] / "benchmarks" / "speed" / "bars.py"


@pytest.fixture(scope="module")
def bars():
    spec = importlib.util.spec_from_file_location("speed_bars", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize(
    ("values", "met"),
    [
        ([4.0, 4.0, 3.4], True),  # the worst is 85 % of it
        ([4.0, 4.0, 3.3], False),  # one cell below
        ([3.9, 3.9, 9.0], False),  # the median below
    ],
)
def test_a_bar_is_met_by_its_median_and_its_worst_cell(bars, values, met):
    bar = bars.Bar("x", 4.0)
    for place, value in enumerate(values):
        bar.add(str(place), value)
    assert bar.judged()["met"] is met


def test_a_bar_from_above(bars):
    bar = bars.Bar("seconds", 5.0, below=True)
    bar.add("a", 4.0)
    assert bar.judged()["met"] is True
    bar.add("b", 6.0)
    bar.add("c", 4.0)
    found = bar.judged()
    assert (found["met"], found["worst"], found["worst_cell"]) == (False, pytest.approx(5 / 6), "b")


def test_what_does_not_bind_is_shown_and_not_judged(bars):
    bar = bars.Bar("x", 4.0)
    bar.add("weak", 5.0)
    bar.add("strong", 1.0, binds=False)
    found = bar.judged()
    assert (found["met"], found["cells"], found["not_binding"]) == (
        True, {"weak": 5.0, "strong": 1.0}, ["strong"],
    )  # fmt: skip
    assert "(strong 1)" in bars.cells([bar])


def test_a_cell_without_a_time_counts_as_nothing(bars):
    bar = bars.Bar("x", 4.0)
    bar.add("a", None)
    assert bar.judged()["met"] is False
    above = bars.Bar("x", 4.0, below=True)
    above.add("a", None)
    assert above.judged()["met"] is False
    json.dumps([bar.judged(), above.judged()], allow_nan=False)
    assert "| none |" in bars.told([above])


def test_a_bar_without_cells_is_neither_met_nor_missed(bars):
    assert bars.Bar("x", 4.0).judged()["met"] is None
    assert "no cell binds here" in bars.told([bars.Bar("x", 4.0)])


class Stood:
    """Gives set times."""

    def __init__(self, *times):
        self.times = times

    def measure(self, *_, **__):
        """As a Stand does."""
        return list(self.times), {1: timing(1.0, flops=1000)}


def timing(seconds, flops=100):
    return Timing(((seconds,),), Ready(0.0, flops, 1000, None, 40, 0.0, ""))


def test_times_are_compared_and_what_has_none_is_told(bars, capsys):
    case = Case("x", lambda: None)
    entries = [Entry(name, case) for name in ("torch", "onnxruntime", "rarefy")]
    given = Namespace(seconds=1, rounds=1)
    found = bars.Found(Stood(timing(4.0), Refused("no"), timing(1.0)), entries, given)
    assert found.times_as_fast(entries[2], entries[0]) == 4.0
    assert found.times_as_fast(entries[2], entries[1]) is None
    assert found.best(entries[:2]) == entries[0]
    assert found.share(entries[2]) == pytest.approx(0.1)
    assert found.weak(entries[0])  # 1,000 FLOPs in 4 s of a peak of 1,000 a second
    assert "onnxruntime, x: no" in capsys.readouterr().out
    assert [row["runtime"] for row in found.rows(a=1)] == ["torch", "onnxruntime", "rarefy"]


def test_results_are_written_for_claims_only(bars, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bars, "RESULTS", tmp_path)
    bar = bars.Bar("x", 4.0)
    bar.add("a", 5.0)
    machine = {"busy": True, "load": 2.0}
    quick = Namespace(out=None, quick=True, direct=False)
    bars.finish("x", [bar], [], machine, quick)
    assert not list(tmp_path.iterdir())
    bars.finish("x", [bar], [{"a": 1}], machine, Namespace(out=None, quick=False, direct=False))
    found = json.loads((tmp_path / "speed_x.json").read_text())
    assert found["bars"][0]["met"] is True
    assert "preliminary" in capsys.readouterr().out

"""The benchmarks of compressed training: ratios, tables, and what a rival that is missing does."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks" / "training"
OWN = ("turns", "results", "networks", "whole", "layers")


@pytest.fixture
def load(monkeypatch):
    """A module of the folder by its name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in (*OWN, "speed_bars"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module
    for name in (*OWN, "speed_bars"):
        sys.modules.pop(name, None)


def test_a_ratio_is_that_of_rounds_that_met_the_same_load(load):
    turns = load("turns")
    dense = turns.Times(rounds=[[4.0, 4.0], [40.0], [4.0]])
    ours = turns.Times(rounds=[[2.0, 2.0], [20.0], [1.0]])
    assert ours.times_as_fast(dense) == 2.0
    assert ours.times_as_fast(turns.Times(refused="not installed")) is None
    assert ours.median == 2.0


def test_tables_show_bars_and_every_row(load):
    results, turns = load("results"), load("turns")
    bar = results.bar("times dense", 3)
    bar.add("a cell", 4.0)
    times = turns.Times(rounds=[[0.5, 0.5, 0.5]], parts={"forward": 1.0, "other": 3.0})
    rows = [
        results.row_of(times, net="one"),
        results.row_of(turns.Times(refused="not installed (x)"), net="two"),
    ]
    shown = results.tables({"bars": [bar.judged()], "rows": rows})
    assert "| times dense | >= 3 | 4 | 4 (a cell) | yes |" in shown
    assert "| one | 500 | 500 | 500 | 3 | 0 | 25 | 75 |" in shown
    assert "not installed (x)" in shown


@pytest.mark.parametrize("library", ["torch", "rarefy"])
def test_a_layers_step_is_that_of_dense_torch(load, library):
    work = load("layers").build(library, (60, 40), 8, 0.8)
    work.step()
    work.step()
    assert work.off < 1e-4
    assert all(parameter.grad is not None for parameter in work.model.parameters())


def test_a_rival_that_is_missing_says_so(load, monkeypatch):
    turns, layers = load("turns"), load("layers")
    monkeypatch.setitem(sys.modules, "sparselab", None)
    words = {"library": "sparselab", "shape": (6, 4), "tokens": 2, "sparsity": 0.5}
    refused, _ = turns._prepared({}, 0, layers.build, words)
    assert refused.startswith("not installed")

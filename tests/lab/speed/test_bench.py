"""The benchmark of layers, with nothing really timed."""

import pytest

from rarefy.errors import BudgetError, MissingExtra, UnknownName
from rarefy.lab.speed import Ready, Stand, Timing, _bench, bench


@pytest.fixture
def asked(monkeypatch):
    """What would have been measured; every time is one second."""
    found = []

    def measure(_, entries, **__):
        found.append(entries)
        one = Timing(((1.0,),), Ready(0.0, 10, 20, 5, 40, 0.0, ""))
        return [one] * len(entries), {entries[0].threads: one}

    monkeypatch.setattr(Stand, "measure", measure)
    return found


def small(**more):
    return bench(shapes=["8x6"], tokens=[2], sparsities=[0.0, 0.5], **more)


def test_dense_runtimes_are_timed_once_a_layer_and_sparse_ones_at_each_sparsity(asked):
    small(runtimes=["torch", "torch csr"])
    ((*entries,),) = asked
    assert [(entry.runtime, entry.case.sparsity) for entry in entries] == [
        ("torch", 0.0),
        ("rarefy kernels", 0.0),
        ("rarefy kernels", 0.5),
        ("torch csr", 0.0),
        ("torch csr", 0.5),
    ]


@pytest.mark.usefixtures("asked")
def test_a_row_for_each_layer_count_and_sparsity():
    found = bench(
        shapes=["8x6", "4x4x3x3@5"], tokens=[1, 2], images=[3], sparsities=[0.5], runtimes=["torch"]
    )
    assert [(row.work, row.count, row.counted) for row in found.rows] == [
        ("8x6", 1, "tokens"),
        ("8x6", 2, "tokens"),
        ("4x4x3x3@5", 3, "images"),
    ]


def test_threads_and_precision_reach_every_entry(asked):
    found = small(runtimes=["torch"], threads=2, precision="int8")
    assert {(entry.threads, entry.precision) for entry in asked[0]} == {(2, "int8")}
    assert asked[0][1].runtime == found.ours == "rarefy"


def test_without_names_all_that_are_installed_take_part(asked):
    small()
    names = {entry.runtime for entry in asked[0]}
    assert {"torch", "torch csr", "rarefy kernels"} <= names
    assert "rarefy" not in names


@pytest.mark.usefixtures("asked")
def test_it_tells_where_it_is():
    told = []
    bench(shapes=["8x6"], tokens=[1, 2], runtimes=["torch"], watch=lambda *now: told.append(now))
    assert told == [("8x6, 1 tokens", 0, 2), ("8x6, 2 tokens", 1, 2)]


@pytest.mark.parametrize(
    ("odd", "error"),
    [
        ({"shapes": ["8"]}, UnknownName),
        ({"tokens": [0]}, BudgetError),
        ({"tokens": [], "images": []}, BudgetError),
        ({"sparsities": [1.0]}, BudgetError),
        ({"sparsities": []}, BudgetError),
        ({"precision": "int3"}, UnknownName),
        ({"runtimes": ["tvm"]}, UnknownName),
        ({"runtimes": ["scipy"], "precision": "int8"}, UnknownName),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_started(monkeypatch, odd, error):
    monkeypatch.setattr(_bench, "Stand", None)
    with pytest.raises(error):
        bench(**odd)


def test_a_runtime_asked_for_by_name_must_be_here(monkeypatch):
    monkeypatch.setattr("rarefy.lab.speed._runtimes.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match="pip install onnxruntime onnx"):
        bench(runtimes=["onnxruntime"])

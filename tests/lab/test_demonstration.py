"""What the demonstration found, in words and as data."""

import json
from dataclasses import replace

import pytest

from rarefy.lab import Demo
from rarefy.metrics import Latency
from rarefy.reports import compare_runs, report


@pytest.fixture
def found(tiny, tmp_path):
    reports = {
        "dense": replace(report(tiny.build(), tiny.example()), file_bytes=1000),
        "rigl": replace(report(tiny.build(), tiny.example()), file_bytes=150),
    }
    return Demo(
        task=tiny,
        sparsity=0.9,
        steps=40,
        accuracy={"dense": (0.5, 0.7), "rigl": (0.25, 0.25)},
        comparison=compare_runs(reports),
        kernels={"rigl": Latency((3e-6, 3e-6), 1, 1)},
        folder=tmp_path,
        seconds=1.5,
    )


def test_accuracy_is_mean_and_standard_deviation(found):
    cells = {row[0]: row[1] for row in found.table().rows}
    assert cells == {"dense": "60.00 ± 14.14 %", "rigl": "25.00 ± 0.00 %"}


def test_flops_are_counted_and_compared(found):
    # 6 x 20 and 20 x 3 products, two operations each.
    assert [row[4] for row in found.table().rows] == ["360 (100%)", "360 (100%)"]


def test_bytes_are_those_on_disk(found):
    assert [row[3] for row in found.table().rows] == ["1,000 (100%)", "150 (15%)"]


def with_fast(found, *, times=4.0, kept=(True, False)):
    """The same, with an accelerated rigl that is ``times`` as fast as dense."""
    rows = tuple(
        {"name": f"{place}.weight", "kept": each, "why": "dense won"}
        for place, each in enumerate(kept)
    )
    latency = {
        who: Latency((seconds,) * 3, 1, 1)
        for who, seconds in {"this": 9e-6, "dense": 8e-6, "fast": 8e-6 / times}.items()
    }
    rigl = replace(found.comparison["rigl"], latency=latency, accelerated=rows)
    return replace(
        found, comparison=compare_runs({"dense": found.comparison["dense"], "rigl": rigl})
    )


def test_the_accelerated_one_is_beside_the_masked_one(found):
    assert [row[6:8] for row in found.table().rows] == [
        ("no kernel", "no kernel"),
        ("no kernel", "3 µs"),
    ]
    found = with_fast(found)
    assert found.table().rows[1][5:8] == ("9 µs", "2 µs (4.0x)", "3 µs")
    told = found.to_dict()["methods"]
    assert told["dense"]["accelerated"] is told["dense"]["times_as_fast"] is None
    assert told["dense"]["kernels"] is None
    assert told["rigl"]["kernels"]["median"] == 3e-6
    assert told["rigl"]["accelerated"]["median"] == 2e-6
    assert told["rigl"]["times_as_fast"] == pytest.approx(4.0)


def test_what_stayed_dense_is_told_with_the_reason(found):
    assert "rigl: of 2 weights these run dense: 1.weight (dense won)" in str(with_fast(found))
    assert "these run dense" not in str(with_fast(found, kept=(True, True)))


def test_the_text_says_what_masked_models_do_not_do(found):
    text = str(found)
    assert "runs dense kernels" in text
    assert "gain over it is the zeros'" in text
    assert "mean of 2 seeds ± standard deviation" in text
    assert "tiny: three corners" in text


def test_the_data_are_json(found):
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["seeds"] == 2
    assert content["methods"]["rigl"]["accuracy"] == [0.25, 0.25]
    assert content["methods"]["dense"]["accuracy_mean"] == pytest.approx(0.6)
    assert content["methods"]["dense"]["flops_dense"] == 360
    assert set(content["methods"]["dense"]["latency"]) == {"median", "lower", "upper"}


def test_what_is_not_known_of_training_is_said(found):
    assert {row[8] for row in found.table().rows} == {"not known"}
    assert any("Masked is simulated: dense speed and memory" in note for note in found.notes())

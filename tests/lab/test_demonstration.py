"""What the demonstration found, in words and as data."""

import json
from dataclasses import replace

import pytest

from rarefy.lab import Demo
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


def test_the_text_says_what_masked_models_do_not_do(found):
    text = str(found)
    assert "run dense kernels" in text
    assert "mean of 2 seeds ± standard deviation" in text
    assert "tiny: three corners" in text


def test_the_data_are_json(found):
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["seeds"] == 2
    assert content["methods"]["rigl"]["accuracy"] == [0.25, 0.25]
    assert content["methods"]["dense"]["accuracy_mean"] == pytest.approx(0.6)
    assert content["methods"]["dense"]["flops_dense"] == 360
    assert set(content["methods"]["dense"]["latency"]) == {"median", "lower", "upper"}

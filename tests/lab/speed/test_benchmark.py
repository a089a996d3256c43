"""What a benchmark found, as table, notes and data."""

import json

import pytest

from rarefy.lab.speed import Benchmark, Ready, Refused, Row, Timing


def timing(seconds, flops=100, note="", size=None):
    return Timing(((seconds, seconds), (seconds,)), Ready(0.0, flops, 1000, size, 400, 0.5, note))


def row(**more):
    words = {
        "work": "8x6",
        "count": 32,
        "counted": "tokens",
        "sparsity": 0.9,
        "ours": timing(1e-3, size=50_000),
        "others": {
            "torch": timing(5e-3),
            "onnxruntime": timing(4e-3),
            "openvino": Refused("cannot"),
            "scipy": timing(8e-3),
        },
        "peak": timing(1e-3, flops=400),
        "moved": 900,
    }
    return Row(**(words | more))


def benchmark(*rows, **machine):
    here = {"cpu": "a CPU", "kernel_set": "v3", "busy": False, "load": 0.1} | machine
    return Benchmark(rows or (row(),), 1, "float32", "rarefy kernels", here)


def test_the_best_dense_runtime_is_the_fastest_and_not_a_sparse_one():
    assert row().best() == "onnxruntime"
    assert row().best(sparse=True) == "scipy"
    assert row(others={"scipy": timing(1.0)}).best() is None
    assert row().times("torch") == pytest.approx(5)
    assert row().times("openvino") is None
    assert row().share() == pytest.approx(0.25)


def test_the_table_has_torch_and_the_best_of_each_kind():
    (cells,) = benchmark().table().rows
    assert cells == (
        "8x6", "32 tokens", "90%", "1,000 (1,000-1,000)", "25%", "50", "5.00",
        "4.00 onnxruntime", "8.00 scipy",
    )  # fmt: skip


def test_what_has_no_time_has_a_dash_and_a_reason():
    found = benchmark(row(ours=Refused("no kernel"), peak=Refused("no peak")))
    (cells,) = found.table().rows
    assert set(cells[3:]) == {"–"}  # noqa: RUF001
    notes = "\n".join(found.notes())
    assert "rarefy kernels: no time in 1 rows: no kernel" in notes
    assert "peak not known" in notes
    assert "openvino: no time in 1 rows: cannot" in notes


def test_notes_say_what_disturbs_the_numbers():
    assert "busy" not in str(benchmark())
    assert "busy (load 2.5" in str(benchmark(busy=True, load=2.5))
    assert "rarefy kernels: plain torch ran" in str(
        benchmark(row(ours=timing(1.0, note="plain torch ran")))
    )
    assert "peak 400 GFLOP/s" in str(benchmark(row(peak=timing(1e-3, flops=400_000_000))))


def test_the_data_are_json():
    found = json.loads(json.dumps(benchmark().to_dict(), allow_nan=False))
    (one,) = found["rows"]
    assert one["times"] == {
        "torch": pytest.approx(5), "onnxruntime": pytest.approx(4), "openvino": None,
        "scipy": pytest.approx(8),
    }  # fmt: skip
    assert one["best_dense"] == "onnxruntime"
    assert one["ours"]["median"] == 1e-3
    assert one["ours"]["calls"] == 3
    assert one["ours"]["peak_flops"] == pytest.approx(400_000)
    assert one["others"]["openvino"] == {"refused": "cannot"}


def test_it_writes_data_and_page(tmp_path):
    pytest.importorskip("plotly")
    benchmark().write(tmp_path / "made")
    assert json.loads((tmp_path / "made" / "bench.json").read_text())["format"] == 1
    assert "Roofline" in (tmp_path / "made" / "bench.html").read_text(encoding="utf-8")

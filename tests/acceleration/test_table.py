"""The record in rows of words, of numbers worked by hand."""

import pytest

from rarefy.acceleration._table import headline, layer_table, left_table, plain

ROW = {
    "name": "fc.weight", "density": 0.1, "kernel": "sparse float32", "dense": 0.002,
    "sparse": 0.0005, "kept": True, "chain": 0, "why": "4x",
}  # fmt: skip


@pytest.fixture
def record():
    return {
        "goal": "latency", "precision": "int8", "threads": 2, "batch": 3, "kernels": "v4",
        "layers": [ROW, {**ROW, "name": "b", "kept": False, "chain": None, "sparse": None}],
        "uncaptured": [{"module": "", "class": "Net", "why": "no"}],
        "notes": ["mind this"], "accuracy": None,
        "time": {"dense": 0.004, "fast": 0.002, "sparse": 0.0015, "rest": 0.0005, "share": 0.75,
                 "adds_up_to": 1.0},
        "flops": {"dense": 2e6, "skipped": 9e5, "share": 0.5},
        "bytes": {"parameters": 1_000_000, "packed": 250_000, "let_go": 0},
    }  # fmt: skip


def test_the_headline_tells_numbers_that_a_reader_can_check(record):
    told = dict(headline(record))
    assert told["runs sparse"] == "1 of 2 weights, goal latency"
    assert told["whole call"] == "2 ms, dense 4 ms: 2.00x (2 threads, batch 3)"
    assert told["time"].startswith("75% in sparse layers (1.5 ms)")
    assert told["FLOPs"].startswith("50% of 2 M are in sparse layers, which skip 0.9 M")
    assert told["memory"] == "1 MB of parameters, 0.25 MB packed"
    assert told["note"] == "mind this"
    assert "price" not in told
    assert "accuracy" not in told


def test_the_price_of_memory_and_the_cost_of_precision(record):
    record["goal"], record["threads"] = "memory", 1
    record["bytes"]["let_go"] = 4_000_000
    record["accuracy"] = {"relative_error": 0.01, "largest_error": 0.02, "batches": 4.0,
                          "same_choice": 0.5}  # fmt: skip
    told = dict(headline(record))
    assert told["price"] == "none: it is faster too"
    assert "(1 thread, batch 3)" in told["whole call"]
    assert told["memory"].endswith("; 4 MB of dense weights let go")
    assert told["accuracy"].startswith("int8: relative error 1.00%, largest of a batch 2.00%")
    assert told["accuracy"].endswith("same choice at 50.00% of the positions")
    record["time"]["fast"] = 0.005
    assert dict(headline(record))["price"] == "1 ms a call slower"


def test_a_row_a_weight_and_empty_cells_where_nothing_was_timed(record):
    columns, (first, second) = layer_table(record)
    assert dict(zip(columns, first, strict=True)) == {
        "layer": "fc.weight", "density": "0.100", "kernel": "sparse float32", "dense ms": "2",
        "sparse ms": "0.5", "kept": "yes", "chain": "0", "why": "4x",
    }  # fmt: skip
    assert second[4:7] == ("", "no", "")


def test_where_sparse_begins_to_win(record):
    for row, found in zip(record["layers"], (0.6, 1.0), strict=True):
        record["layers"][record["layers"].index(row)] = {**row, "break_even": found}
    columns, rows = layer_table(record)
    assert [row[columns.index("wins from")] for row in rows] == ["60% zeros", "nowhere"]


def test_what_was_not_captured_and_columns_set_with_blanks(record):
    assert left_table(record) == (("module", "class", "why"), [("(model)", "Net", "no")])
    assert plain(("a", "bb"), [("ccc", "d")]) == "a    bb\n───  ──\nccc  d"

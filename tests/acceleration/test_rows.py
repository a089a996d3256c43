"""Rows of the record as plain data."""

import json

from rarefy.acceleration._rows import ChainRow, LayerRow


def test_a_layer_that_runs_sparse_names_its_kernel_by_precision():
    row = LayerRow(
        "a.weight", "conv", (2, 3, 3, 3), 0.25, stride=(1, 1), precision="int8", kept=True
    )
    plain = row.plain()
    assert plain["kernel"] == "sparse int8"
    assert plain["shape"] == [2, 3, 3, 3]
    assert plain["stride"] == [1, 1]
    assert plain["dense"] is None
    assert json.loads(json.dumps(plain)) == plain


def test_a_layer_that_does_not_is_dense_whatever_precision_was_best():
    assert LayerRow("a", "linear", (2, 3), 1.0, precision="int8").plain()["kernel"] == "dense"


def test_a_chain_keeps_its_steps_and_layers():
    plain = ChainRow("", ["linear", "relu"], ["a"], 2.0, 1.0, True, "2x", 0).plain()
    assert plain["steps"] == ["linear", "relu"]
    assert (plain["dense"], plain["sparse"], plain["number"]) == (2.0, 1.0, 0)
    assert json.loads(json.dumps(plain)) == plain

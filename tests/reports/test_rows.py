"""The lines of a report."""

from dataclasses import replace

import torch

from rarefy.metrics import Flops, Latency
from rarefy.reports import _rows, report


def test_the_headline_says_what_everybody_asks(full):
    lines = dict(_rows.headline(full))
    assert lines["state"].startswith("masked: the zeros are simulated")
    assert lines["weights"] == "15 of 60 kept, 75.00 % sparsity; 15 nonzero"
    assert lines["parameters"].startswith("68 with biases")
    assert lines["FLOPs"].startswith("90 FLOP effective of 360 FLOP dense (25.0 %), batch of 3")
    assert lines["score"] == "accuracy 0.5 (dense 0.5)"
    assert "times as fast" in lines["latency"]
    assert lines["bytes"].startswith("dense 272 B · bitmask 100 B")


def test_latency_names_its_conditions(full):
    this, dense = Latency((1.0, 1.0, 1.0), 2, 8), Latency((2.0, 2.0, 2.0), 2, 8)
    text = _rows.latency(replace(full, latency={"this": this, "dense": dense}))
    assert text == (
        "1.00 s (1.00 s to 1.00 s); dense 2.00 s (2.00 s to 2.00 s); "
        "2.00 times as fast (2.00 to 2.00); 2 threads, batch of 8, median and quartiles of 3 rounds"
    )


def test_the_accelerated_model_has_a_line_of_its_own(quick):
    assert dict(_rows.headline(quick))["accelerated"] == (
        "1.00 s (1.00 s to 1.00 s); 4.00 times as fast as dense (4.00 to 4.00); "
        "1 of 2 weights run sparse"
    )
    alone = {who: timed for who, timed in quick.latency.items() if who != "dense"}
    assert "2.00 times as fast as this model" in _rows.accelerated(replace(quick, latency=alone))


def test_each_weight_says_what_it_runs_on_and_why(quick):
    found = _rows.kernels(quick).rows
    assert found[0] == ("0.weight", "25.00 %", "4.00 µs", "1.00 µs", "sparse", "4.0x as fast")
    assert found[1][3:] == ("–", "dense", "<too small>")  # noqa: RUF001


def test_what_was_not_counted_is_named(full):
    lines = _rows.headline(replace(full, flops=Flops({}, 0, {"rnn.w": "unknown"}, 1)))
    assert ("not counted", "FLOPs of rnn.w: unknown") in lines


def test_dead_structure_is_told(model):
    assert _rows.dead(report(model)) == "no output without a kept weight, no collapsed layer"
    with torch.no_grad():
        model[0].weight[:2] = 0.0
        model[2].weight.zero_()
    assert _rows.dead(report(model)) == "2 outputs of 0.weight · 2.weight has collapsed"


def test_flops_columns_are_there_only_when_counted(full):
    assert _rows.layers(full).columns[-2:] == ("FLOPs left", "of dense")
    assert "FLOPs left" not in _rows.layers(replace(full, flops=None)).columns


def test_tied_and_left_out_weights_are_told(full):
    first = replace(full.counts.weights[0], aliases=("a", "b"))
    out = replace(full.counts.weights[1], target=False)
    rows = _rows.layers(replace(full, counts=replace(full.counts, weights=(first, out)))).rows
    assert rows[0][0] == "a = b"
    assert "left out" in rows[1]

"""The sections of a page."""

from dataclasses import replace

from rarefy.metrics import Dead, Flops
from rarefy.reports import _sections
from rarefy.reports._histogram import Histogram
from rarefy.reports._rows import Rows


def test_everything_that_is_known_has_a_section(full):
    text = _sections.body(full, set())
    assert all(f"<h2>{word}" in text for word in ("Layers", "Bytes", "FLOPs", "Latency", "Score"))
    assert all(f"<h2>{w}" in text for w in ("Dead structure", "Masks", "Kept weights", "Training"))
    assert "Not in this report" not in text


def test_the_accelerated_model_is_beside_the_others(quick):
    text = _sections.body(quick, set())
    assert "Accelerated: 1.00 s" in text
    assert "&lt;too small&gt;" in text
    assert "1.00 s</strong><span>accelerated</span>" in text


def test_what_is_missing_is_said(full):
    report = replace(full, flops=None, latency={}, scores={}, absent={"score": "none given"})
    text = _sections.body(report, set())
    assert not any(f"<h2>{word}" in text for word in ("FLOPs", "Latency", "Score"))
    assert "<li><b>score</b>: none given</li>" in text


def test_bars_are_as_long_as_the_share():
    rows = Rows(("name", "sparsity"), (("a", "25 %"),), (True, False))
    assert '<i style="width:25.00%"></i>' in _sections.table(rows, {1: [0.25]})


def test_dead_structure_and_collapse_are_listed(full):
    text = _sections.body(replace(full, dead={"w": Dead((0, 1), (2,), True)}), set())
    assert "collapsed: nothing passes" in text


def test_unknown_flops_and_odd_values_are_named(full):
    report = replace(
        full,
        flops=Flops({}, 0, {"rnn.w": "read by something"}, 3),
        histograms={"w": Histogram(0.0, 0.0, (), 7)},
    )
    text = _sections.body(report, set())
    assert "<b>rnn.w</b> is not counted: read by something" in text
    assert "7 values are not finite" in text


def test_names_are_escaped_everywhere(full):
    evil = "<img src=x>"
    count = replace(full.counts.weights[0], name=evil, aliases=(evil,), pattern=evil)
    report = replace(
        full,
        method=evil,
        meaning=evil,
        words={evil: evil},
        counts=replace(full.counts, weights=(count,)),
        dead={evil: Dead((0,), (), False)},
        scores={"this": {evil: 1.0}},
        history=({"step": 0, evil: 1.0}, {"step": 1, evil: 2.0}),
        histograms={evil: Histogram(0.0, 1.0, (1,), 0)},
        absent={evil: evil},
        pictures={},
    )
    assert "<img" not in _sections.body(report, set())

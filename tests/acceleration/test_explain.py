"""The explanation of an accelerated model: words for people, data for programs."""

import io

import pytest

from rarefy.acceleration._explain import Explanation, explanation
from rarefy.errors import AttachError


def test_it_tells_what_runs_sparse_and_how_fast(mlp, x, hastened):
    fast = hastened(mlp, x)
    told = str(explanation(fast))
    assert "2 of 2 weights, goal latency" in told
    assert "10.00x" in told
    assert "0.weight" in told
    assert "sparse float32" in told
    assert "Not captured" not in told
    assert str(fast.explain()) == told
    assert repr(fast.explain()) == ("<Explanation: 2 of 2 weights run sparse; print it to read it>")


def test_what_was_not_captured_is_listed(mlp, x, hastened):
    mlp[1].register_forward_hook(lambda *_: None)
    told = str(explanation(hastened(mlp, x)))
    assert "Not captured, so these run their own code:" in told
    assert "(model)" in told
    assert "hook on 1" in told


def test_the_data_are_a_copy(mlp, x, hastened):
    fast = hastened(mlp, x)
    data = explanation(fast).to_dict()
    assert data == fast.record
    data["layers"].clear()
    found = explanation(fast)
    found.to_dict()["layers"].clear()
    assert len(found.to_dict()["layers"]) == len(fast.record["layers"]) == 2


def test_only_an_accelerated_model_has_one(mlp):
    with pytest.raises(AttachError, match="Sequential is no accelerated model"):
        explanation(mlp)


def test_square_brackets_of_a_model_are_no_markup(mlp, x, hastened):
    console = pytest.importorskip("rich.console")
    record = explanation(hastened(mlp, x)).to_dict()
    record["layers"][0]["why"] = "[red]why[/nothing]"
    page = console.Console(file=io.StringIO(), width=200)
    page.print(Explanation(record))
    assert "[red]why[/nothing]" in page.file.getvalue()
    assert "2 of 2 weights" in page.file.getvalue()

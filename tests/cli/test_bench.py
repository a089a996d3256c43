"""``rarefy bench``."""

import json

import pytest

from rarefy.lab.speed import Ready, Stand, Timing


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """Every time is a millisecond; what was asked for is kept."""
    found = []

    def measure(_, entries, *, seconds, rounds):
        found.append((entries, seconds, rounds))
        one = Timing(((1e-3,),), Ready(0.0, 10, 20, 5, 40, 0.0, ""))
        return [one] * len(entries), {entries[0].threads: one}

    monkeypatch.setattr(Stand, "measure", measure)
    return found


def test_it_prints_a_table_and_what_the_numbers_are(rarefy_):
    shown = rarefy_("bench", "--quick", "--runtime", "torch").stdout
    assert "768x768" in shown
    assert "1.00" in shown
    assert "GFLOP/s" in shown


def test_quick_is_one_layer_and_words_override_it(rarefy_, asked):
    rarefy_("bench", "--quick", "--runtime", "torch", "--sparsity", "0.8")
    assert {entry.case.sparsity for entries, *_ in asked for entry in entries} == {0.0, 0.8}
    assert [(seconds, rounds) for _, seconds, rounds in asked] == [(0.2, 3)] * 2


def test_the_options_reach_the_benchmark(as_json, asked):
    found = as_json(
        "bench", "--shape", "4x4x3x3@5", "--images", "2,3", "--sparsity", "0.5", "--threads", "2",
        "--runtime", "torch",
    )  # fmt: skip
    assert [(row["work"], row["count"]) for row in found["rows"]] == [
        ("4x4x3x3@5", 2),
        ("4x4x3x3@5", 3),
    ]
    assert found["threads"] == 2
    assert {entry.threads for entries, *_ in asked for entry in entries} == {2}


def test_it_writes_data_and_page(rarefy_, tmp_path):
    pytest.importorskip("plotly")
    shown = rarefy_("bench", "--quick", "--runtime", "torch", "--out", tmp_path / "made").stdout
    assert json.loads((tmp_path / "made" / "bench.json").read_text())["rows"]
    assert "bench.html" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shape", "8"], "is no shape"),
        (["--tokens", "a"], "--tokens takes numbers"),
        (["--sparsity", "0,5"], "in [0, 1)"),
        (["--precision", "int3"], "has no 'int3'"),
        (["--runtime", "tvm"], "no runtime 'tvm'"),
    ],
)
def test_odd_words_are_refused(rarefy_, words, said):
    assert said in rarefy_("bench", *words, code=1).stderr

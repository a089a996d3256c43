"""Reports side by side."""

from dataclasses import replace

import pytest

from rarefy.errors import TargetError
from rarefy.reports import compare_runs
from rarefy.reports._numbers import NOTHING


@pytest.fixture
def three(full):
    """The same model three times, with different scores."""
    return compare_runs(
        {
            "dense": replace(full, scores={"this": {"accuracy": 0.9}}),
            "<gmp>": replace(full, scores={"this": {"accuracy": 0.8, "loss": 2.0}}),
            "static": replace(full, scores={}, flops=None, latency={}, file_bytes=1234),
        }
    )


def test_one_row_a_run_in_the_order_given(three):
    rows = three.rows()
    assert rows.columns[:4] == ("run", "accuracy", "loss", "sparsity")
    assert [row[:2] for row in rows.rows] == [
        ("dense", "0.9"),
        ("<gmp>", "0.8"),
        ("static", NOTHING),
    ]
    assert rows.rows[2][rows.columns.index("on disk")] == "1.23 kB"


def test_accelerated_models_have_a_column_and_bars(quick, full, tmp_path):
    both = compare_runs({"dense": full, "rigl": quick})
    rows = both.rows()
    assert [row[rows.columns.index("accelerated")] for row in rows.rows] == [NOTHING, "1.00 s"]
    both.html(tmp_path / "compare.html")
    assert "latency, accelerated" in (tmp_path / "compare.html").read_text(encoding="utf-8")


def test_a_column_without_numbers_is_left_out(full):
    assert "on disk" not in compare_runs({"a": full}).rows().columns


def test_it_is_a_mapping_with_every_form(three):
    assert list(three) == ["dense", "<gmp>", "static"]
    assert three["<gmp>"].scores["this"]["loss"] == 2.0
    assert list(three.to_dict()) == list(three)
    assert str(three).splitlines()[0].startswith("run")
    assert "&lt;gmp&gt;" in three._repr_html_()
    assert three.table().row_count == 3


def test_its_page_holds_each_report(three, tmp_path):
    three.html(tmp_path / "compare.html", title="Digits", note="seed 0 < 3")
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "<title>Digits" in text
    assert "<p>seed 0 &lt; 3</p>" in text
    assert "<gmp>" not in text
    assert text.count("<details>") == 3
    assert text.count("<h2>Masks</h2>") == 3


def test_the_limit_holds_over_all_reports(three, tmp_path):
    three.html(tmp_path / "compare.html", exact=60)
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert text.count("Too large") == 3  # of six masks the three small ones fit


def test_nothing_to_compare_is_refused():
    with pytest.raises(TargetError, match="at least one report"):
        compare_runs({})

"""The page of a benchmark."""

import json
import re

import pytest

from rarefy.reports import speed_page

pytest.importorskip("plotly")

TIMED = {
    "median": 1e-3, "lower": 0.9e-3, "upper": 1.1e-3, "flops": 3000, "bytes": 600,
    "dense_bytes": 4000, "share_of_peak": 0.5,
}  # fmt: skip


def row(**more):
    words = {
        "work": "8x6",
        "count": 32,
        "counted": "tokens",
        "sparsity": 0.9,
        "ours": TIMED,
        "others": {
            "torch": {**TIMED, "share_of_peak": 0.2, "bytes": None},
            "<b>": {"refused": "x"},
        },
        "times": {"torch": 4.0, "<b>": None},
        "best_dense": "torch",
        "bytes_moved": 900,
    }
    return words | more


@pytest.fixture
def shown(tmp_path):
    def write(*rows):
        speed_page({"notes": ["a <note>"], "rows": list(rows)}, tmp_path / "x.html")
        return (tmp_path / "x.html").read_text(encoding="utf-8")

    return write


def charts(page):
    found = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    return [json.loads(text) for text in found]


def test_the_roofline_has_our_points_and_the_best_dense_ones(shown):
    page = shown(row(), row(sparsity=0.5))
    (chart,) = charts(page)
    points = {trace["name"]: (trace["x"], trace["y"]) for trace in chart["data"]}
    assert points == {
        "rarefy, 90%": ([2.0], [0.5]),
        "rarefy, 50%": ([2.0], [0.5]),
        "best dense runtime": ([3000 / 4900], [0.2]),
    }
    assert chart["layout"]["shapes"][0]["y0"] == 1


def test_names_and_notes_cannot_break_the_page(shown):
    page = shown(row())
    assert "a &lt;note&gt;" in page
    assert "&lt;b&gt;" in page


def test_the_table_says_what_was_timed(shown):
    page = shown(row())
    for text in ("1.00 ms", "900 µs to 1.10 ms", "50 %", "600 B", "4.00 (best dense)"):
        assert text in page, text


def test_without_a_peak_it_says_so(shown):
    page = shown(row(ours={"refused": "x"}, best_dense=None))
    assert charts(page) == []
    assert "there is nothing to draw" in page.replace("\n", " ")


def test_no_rows_is_a_page_too(shown):
    assert "Every layer" in shown()

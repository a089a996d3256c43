"""The table of storage formats."""

import pytest
import torch
from rich.console import Console
from torch import nn

import rarefy
from rarefy.formats import choose
from rarefy.reports import Storage, report, storage_table
from rarefy.reports._sections import body
from rarefy.reports._storage import COLUMNS, following, storage_rows


@pytest.fixture
def file(tmp_path):
    """A weight of 64 x 64 with a kept diagonal, and a bias."""
    model = nn.Linear(64, 64)
    with torch.no_grad():
        model.weight.copy_(torch.eye(64))
        model.bias.fill_(1)
    rarefy.save(model, tmp_path / "eye.safetensors")
    return tmp_path / "eye.safetensors"


def test_a_row_has_every_format_by_hand(file):
    found = report(file)
    assert list(found.storage) == ["weight"]
    rows = storage_rows(found.storage)
    (cells,) = rows.rows
    row = dict(zip(rows.columns, cells, strict=True))
    # 64 values of 4 bytes; gaps of 65 in 7 bits; 512 bytes of bits; int32 columns and 65 starts.
    assert row["in the file"] == "delta, 312 B"
    assert row["as bitmask"] == "768 B"
    assert row["as delta"] == "312 B"
    assert row["as CSR"] == "772 B"
    assert row["as COO"] == "768 B"
    assert row["as dense"] == "16.4 kB"
    assert row["as n:m"] == "2.24 kB"  # 1:8: 512 slots of 4 bytes and 3 bits
    assert row["least possible"] == "316 B"
    assert row["smallest"].startswith("delta 7, 312 B")
    assert rows.left[rows.columns.index("as CSR")] is False


def test_it_is_in_text_table_page_and_data(file):
    found = report(file)
    assert "delta 7, 312 B" in str(found)
    assert "delta 7, 312 B" in found._repr_html_()
    data = found.to_dict()["weights"][0]["storage"]
    assert (data["format"], data["bytes"], data["smallest"]) == ("delta", 312, "delta 7")
    assert (data["formats"]["bitmask"], data["least"]) == (768, 316)
    assert set(data) == {
        *("format", "bytes", "formats", "least", "smallest", "next", "next_sparsity")
    }


def test_the_page_has_a_section_for_it(file, full):
    text = body(report(file), set())
    assert "<h2>Storage</h2>" in text
    assert "delta 7, 312 B" in text
    assert "<h2>Storage</h2>" not in body(full, set())


def test_a_narrow_terminal_keeps_what_matters(file):
    console = Console(width=100, force_terminal=False)
    with console.capture() as capture:
        console.print(storage_table(report(file).storage, 100))
    shown = capture.get()
    assert max(map(len, shown.splitlines())) <= 100
    assert all(word in shown for word in ("as dense", "as delta", "smallest", "next break-even"))


def test_a_model_has_none(model):
    found = report(model)
    assert found.storage == {}
    assert "next break-even" not in str(found)
    assert found.to_dict()["weights"][0]["storage"] is None


def test_what_comes_next():
    assert following(choose(torch.ones(200, 200))) == "bitmask from 3.1 %"
    assert following(choose(torch.zeros(4, 4))) == "–"  # noqa: RUF001 - the dash of a table


def test_a_format_that_cannot_hold_a_weight_has_a_dash():
    rows = storage_rows({"w": Storage("dense", 8, choose(torch.ones(2, 2).half()))})
    assert len(rows.columns) == len(COLUMNS) + 5
    assert rows.rows[0][rows.columns.index("as packed")] == "–"  # noqa: RUF001

"""What accelerating gathers as it goes."""

from torch import nn

from rarefy.acceleration._findings import Findings
from rarefy.acceleration._rows import LayerRow


def test_modules_that_were_left_are_named():
    found = Findings()
    found.leave("blocks.0", nn.Linear, "because")
    assert found.uncaptured == [{"module": "blocks.0", "class": "Linear", "why": "because"}]
    assert Findings().uncaptured == []


def test_something_runs_sparse_as_soon_as_one_row_is_kept():
    found = Findings()
    assert not found.sparse()
    found.layers["a"] = LayerRow("a", "linear", (2, 2), 0.5)
    assert not found.sparse()
    found.layers["b"] = LayerRow("b", "linear", (2, 2), 0.5, kept=True)
    assert found.sparse()

"""Captured code is checked beside the module's own before it is taken, and after that trusted."""

import pytest
import torch
from torch import nn

from rarefy.acceleration._choose import Wish, choose
from rarefy.acceleration._install import close, dense, install
from rarefy.acceleration._judge import Judge
from rarefy.acceleration._swap import lane_of
from rarefy.acceleration._timings import Timings
from rarefy.acceleration._trace import Uncapturable


@pytest.fixture
def installed(sparse_wins, unit_of):
    """Gives a module its chains; the lane comes back."""

    def make(module, **shapes):
        unit = unit_of(module.requires_grad_(False), **shapes)
        judge = Judge(0.1, sparse_wins, Timings(None))
        install(unit, choose(unit, judge, Wish()), judge, unit.traced.arguments)
        return lane_of(module)

    return make


def test_the_lane_answers_as_the_module_does(mlp, x, installed):
    lane = installed(mlp, input=(3, 8))
    for batch in (x, x[:1], torch.randn(6, 8)):
        with dense(mlp):
            wanted = mlp(batch)
        found = lane.call(mlp, (batch,), {})
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_inside_dense_the_module_runs_its_own_code(mlp, x, installed, monkeypatch):
    wanted = mlp(x)
    lane = installed(mlp, input=(3, 8))
    monkeypatch.setattr(lane.packs, "plans", [])  # whoever runs a chain now fails
    with dense(mlp):
        assert torch.equal(mlp(x), wanted)
    with pytest.raises(IndexError):
        mlp(x)


def test_code_that_disagrees_is_refused_and_nothing_is_changed(mlp, installed, monkeypatch):
    before, names = dict(mlp.named_buffers()), list(mlp.state_dict())
    monkeypatch.setattr("rarefy.acceleration._install.close", lambda *_, **__: False)
    with pytest.raises(Uncapturable, match="gave something else"):
        installed(mlp, input=(3, 8))
    assert lane_of(mlp) is None
    assert dict(mlp.named_buffers()) == before
    assert list(mlp.state_dict()) == names


class OneIsOther(nn.Module):
    """Asks whether it is given a single row."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):  # noqa: D102
        return self.inner(x) * (2 if x.shape[0] == 1 else 1)


def test_a_size_of_one_that_means_something_else_is_refused(mlp, x, installed):
    model = OneIsOther(mlp)
    one, three = model(x[:1]).detach(), model(x).detach()
    lane = installed(model, x=(3, 8))
    assert lane.accepts.values((x[:1],), {}) is None
    assert lane.accepts.values((x[:2],), {}) is not None
    torch.testing.assert_close(model(x[:1]), one, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model(x), three, rtol=1e-5, atol=1e-6)


class Two(nn.Module):
    """Two arguments of equal sides, one of them an optional scale; a dictionary leaves."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x, y):  # noqa: D102
        return {"sum": self.inner(x) + self.inner(y), "both": [x, (self.inner(y), 3)]}


def test_structures_come_back_as_the_module_gives_them(mlp, x, installed):
    model = Two(mlp)
    with torch.no_grad():
        wanted = model(x, x * 2)
    lane = installed(model, x=(3, 8), y=(3, 8))
    found = lane.call(model, (x,), {"y": x * 2})
    assert close(found, wanted)
    assert found["both"][0] is x
    assert found["both"][1][1] == 3


ONE, NAN = torch.ones(2), torch.tensor([float("nan"), 1.0])


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [
        (ONE, ONE + 5e-4, True),
        (ONE, ONE + 5e-3, False),
        (torch.tensor([0.05, 1000.0]), torch.tensor([0.0, 1000.0]), True),
        (torch.tensor([0.2, 1000.0]), torch.tensor([0.0, 1000.0]), False),
        (NAN, NAN.clone(), True),
        (NAN, ONE, False),
        (ONE * torch.inf, ONE * torch.inf, True),
        (ONE, ONE.double(), False),
        (ONE, torch.ones(1, 2), False),
        (torch.tensor([1, 2]), torch.tensor([1, 3]), False),
        (torch.ones(0), torch.ones(0), True),
        ({"a": ONE, "b": None}, {"a": ONE, "b": None}, True),
        ({"a": ONE}, {"b": ONE}, False),
        ((ONE,), [ONE], False),
        ((ONE, 3), (ONE, 4), False),
        ((ONE, True), (ONE, 1), False),
    ],
)
def test_close_means_equal_up_to_rounding(found, wanted, same):
    assert close(found, wanted) is same


def test_loosely_only_what_cannot_be_rounding_is_seen():
    assert close(ONE * 1.4, ONE, loose=True)
    assert not close(ONE * 1.6, ONE, loose=True)
    assert close(torch.tensor([1]), torch.tensor([2]), loose=True)

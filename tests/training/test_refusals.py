"""What compressed storage refuses, before anything is changed."""

import copy

import pytest
import torch
from torch import nn

import rarefy
from rarefy import growth, scores
from rarefy.errors import AttachError, EvidenceError, PatternError, ScheduleError, TargetError
from rarefy.training import refuse_method


def net():
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))


def sparse(model, method="rigl", **given):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    words = {"steps": 40, "storage": "compressed"} | given
    return rarefy.sparsify(model, 0.5, method, optimizer=optimizer, **words), optimizer


def refused(error, match, model=None, method="rigl", **given):
    model = net() if model is None else model
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=match):
        sparse(model, method, **given)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], value) for key, value in before.items())


@pytest.mark.parametrize("fully_sparse", [False, True])
def test_dense_averages_are_refused_by_name(fully_sparse):
    given = {"fully_sparse": fully_sparse}
    refused(EvidenceError, "snfs keeps a running average of dense", method="snfs", **given)
    refused(EvidenceError, "rigl keeps a running average", growth="momentum", **given)


@pytest.mark.parametrize("given", [{}, {"when": rarefy.schedules.Cubic(final=0.5, start=0, end=9)}])
def test_starting_dense_is_refused_with_the_way_out(given):
    refused(ScheduleError, r"gmp starts dense.*sparsifier\.compress\(\)", method="gmp", **given)


def test_scores_and_rules_that_may_look_further_are_refused_until_they_say():
    def mine(weight):
        return weight.abs()

    def steep(gradient):
        return gradient.square()

    refused(EvidenceError, r"the score mine is not known.*mine\.elementwise = True", score=mine)
    refused(EvidenceError, r"growth=steep is not known.*steep\.elementwise = True", growth=steep)
    mine.elementwise = steep.elementwise = True
    model = net()
    sparsifier, optimizer = sparse(model, score=mine, growth=steep, when="every 5")
    for _ in range(12):
        optimizer.zero_grad()
        model(torch.randn(8, 8)).square().mean().backward()
        optimizer.step()
    assert any("churn" in record for record in sparsifier.history)


def test_a_score_of_the_start_alone_may_look_at_everything():
    def mine(weight):
        return weight.abs() / weight.norm()

    sparse(net(), "one_shot", score=mine, steps=None)


@pytest.mark.parametrize("pattern", ["column", "2:4"])
def test_units_that_cannot_be_moved_are_refused(pattern):
    refused(PatternError, rf"moves units of {pattern} in 0\.weight", pattern=pattern)
    sparse(net(), "one_shot", pattern=pattern, steps=None)


class Tied(nn.Module):
    """One weight in two layers."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(8, 8), nn.Linear(8, 8)
        self.other.weight = self.one.weight


LAYERS = {
    r"0\.weight cannot .* ConvTranspose1d": lambda: nn.Sequential(nn.ConvTranspose1d(4, 4, 2)),
    r"0\.weight_ih_l0 cannot": lambda: nn.Sequential(nn.LSTM(4, 4)),
    r"0\.in_proj_weight cannot": lambda: nn.Sequential(nn.MultiheadAttention(8, 2)),
    r"0\.weight cannot .* 2 groups": lambda: nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)),
    r"one\.weight cannot .* tied: one\.weight, other\.weight": Tied,
    r"weight cannot .* put it into a Sequential": lambda: nn.Linear(4, 4),
}


@pytest.mark.parametrize("match", LAYERS)
def test_layers_that_cannot_be_compressed_are_named(match):
    refused(TargetError, match + r".*skip=\['", LAYERS[match](), "static", steps=None)


def test_layers_that_are_read_past_their_forward_are_named():
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16))
    skip = "*self_attn*"
    refused(
        TargetError,
        r"0\.linear1\.weight cannot .* TransformerEncoderLayer reads",
        model,
        "static",
        skip=skip,
        steps=None,
    )


def test_a_wrapper_is_refused():
    refused(
        AttachError, "wrapped in DataParallel.*compress first, then wrap", nn.DataParallel(net())
    )


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_layer_is_refused_and_a_compiled_model_is_opened():
    model = nn.Sequential(nn.Linear(8, 8), torch.compile(nn.Linear(8, 4)))
    refused(TargetError, r"1\.weight cannot .* compiled by itself", model)
    plain = net()
    sparsifier, _ = sparse(torch.compile(plain))
    assert plain[0].count() == sparsifier.masks["0.weight"].sum()


def test_what_moves_nothing_is_not_looked_at():
    method = rarefy.methods.static(score=scores.magnitude)
    refuse_method(method, {"w": (1, 4, 4, 1)})
    refuse_method(
        rarefy.methods.set_(growth=growth.Neighbours(outputs=(2, 2), inputs=(2, 2))),
        {"w": (1, 4, 4, 1)},
    )

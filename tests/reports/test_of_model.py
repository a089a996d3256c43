"""Reports of models, against what the nets in conftest are by hand."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import rarefy
from rarefy.errors import ScoreError, TargetError
from rarefy.reports import report

EXAMPLE = torch.ones(3, 8)


def test_counts_and_words_are_the_sparsifiers(trained):
    found = report(trained)
    assert (found.counts.size, found.counts.kept) == (60, 15)
    assert (found.state, found.method, found.step) == ("masked", "static", 4)
    assert found.words == trained.words
    assert {count.pattern for count in found.counts.targets} == {"unstructured"}
    assert [record["loss"] for record in found.history if "loss" in record][-1] == 0.25
    assert set(found.absent) == {"FLOPs and latency", "score"}
    assert found.flops is None
    assert not found.latency


def test_a_model_and_its_sparsifier_give_the_same(trained):
    assert report(trained.model).to_dict() == report(trained).to_dict()


def test_a_kept_zero_is_kept_and_not_nonzero(trained):
    name, mask = next(iter(trained.masks.items()))
    with torch.no_grad():
        weight = trained.model.get_parameter(name)
        before = int(torch.count_nonzero(weight))
        weight.view(-1)[int(mask.flatten().nonzero()[0])] = 0.0
    count = report(trained).counts.weights[0]
    assert (count.kept, count.nonzero) == (int(mask.sum()), before - 1)


def test_without_a_sparsifier_a_zero_is_removed(model):
    with torch.no_grad():
        model[0].weight[0] = 0.0
    found = report(model)
    assert (found.counts.kept, found.state, found.method) == (52, "masked", None)
    assert found.dead["0.weight"].outputs == (0,)
    assert not found.dead["2.weight"].outputs


def test_nothing_removed_is_called_dense(model):
    assert report(model).state == "dense"


def test_what_was_left_out_is_listed_whole(model):
    sparsifier = rarefy.sparsify(model, 0.5, skip="2")
    rows = {count.name: count for count in report(sparsifier).counts.weights}
    assert (rows["2.weight"].target, rows["2.weight"].kept) == (False, 12)
    assert report(sparsifier).counts.size == 48


def test_effective_flops_follow_the_nonzeros(trained):
    found = report(trained, EXAMPLE)
    assert found.flops.dense == 2 * 3 * 60
    assert found.flops.effective == 2 * 3 * 15
    assert found.latency["this"].batch == 3


def test_the_reference_is_scored_timed_and_weighed_beside(trained):
    dense = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 2))
    calls = []

    def evaluate(net):
        calls.append((net, net.training))
        return torch.tensor(0.25) if net is dense else {"score": 0.5, "loss": 1}

    found = report(trained, EXAMPLE, evaluate=evaluate, dense=dense)
    assert found.scores == {"this": {"score": 0.5, "loss": 1.0}, "dense": {"score": 0.25}}
    assert calls == [(trained.model, False), (dense, False)]
    assert len(found.latency["this"].times) == len(found.latency["dense"].times)
    assert found.dense_bytes == 4 * (8 * 16 + 16 + 16 * 2 + 2)


def test_nothing_is_changed(trained):
    model = trained.model
    model[1].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = torch.get_rng_state()
    report(trained, EXAMPLE, evaluate=lambda _: float(torch.rand(())))
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    trained.check()


def test_a_report_is_a_snapshot(trained):
    found = report(trained)
    text, full = str(found), found.pictures["0.weight"].full()
    with torch.no_grad():
        trained.model[0].weight.zero_()
    trained.log(loss=9.0)
    assert (str(found), found.pictures["0.weight"].full()) == (text, full)
    assert all(record.get("loss") != 9.0 for record in found.history)


def test_the_example_may_be_a_tuple_or_keywords(trained):
    positional = report(trained, (EXAMPLE,)).flops
    assert positional == report(trained, {"input": EXAMPLE}).flops


def test_a_score_that_is_no_number_is_refused(model):
    with pytest.raises(ScoreError, match="gave list for 'score'"):
        report(model, evaluate=lambda _: [1.0])
    with pytest.raises(ScoreError, match="gave str for 'accuracy'"):
        report(model, evaluate=lambda _: {"accuracy": "high"})


def test_a_model_without_weights_is_refused():
    with pytest.raises(TargetError, match="no weight to sparsify"):
        report(nn.ReLU())


class Fast(nn.Module):
    """Stands in for an accelerated model."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        """As the model."""
        return self.model(x)

    def explain(self):
        """One row."""
        return SimpleNamespace(to_dict=lambda: {"layers": [{"name": "0.weight", "kept": True}]})


def test_an_accelerated_model_is_timed_in_turns_and_explained(model):
    found = report(model, torch.ones(3, 8), fast=Fast(model))
    assert set(found.latency) == {"this", "fast"}
    assert len(found.latency["this"].times) == len(found.latency["fast"].times)
    assert found.accelerated == ({"name": "0.weight", "kept": True},)


def test_a_fast_model_that_cannot_explain_itself_is_timed_all_the_same(model):
    found = report(model, torch.ones(3, 8), fast=copy.deepcopy(model))
    assert set(found.latency) == {"this", "fast"}
    assert found.accelerated == ()


def test_a_compressed_model_counts_as_what_it_stands_for(model):
    masked = copy.deepcopy(model)
    rarefy.sparsify(masked, 0.75, seed=0)
    rarefy.sparsify(model, 0.75, seed=0, storage="compressed")
    ours, theirs = report(model, EXAMPLE), report(masked, EXAMPLE)
    assert (ours.state, theirs.state) == ("compressed", "masked")
    assert ours.counts == theirs.counts
    assert ours.sizes == theirs.sizes
    assert ours.flops == theirs.flops
    assert ours.dead == theirs.dead
    assert ours.histograms == theirs.histograms


def test_a_model_of_both_kinds_says_so(model):
    rarefy.sparsify(model, 0.5, only="0.weight", seed=0, storage="compressed").finalize()
    with torch.no_grad():
        model[2].weight[0] = 0.0
    assert report(model).state == "partly compressed"

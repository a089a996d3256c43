"""FLOPs against products counted by hand."""

import pytest
import torch
from torch import nn

from rarefy.metrics import flops


def test_linear_layers_by_hand():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        model[0].weight.zero_()[0, 0] = 1.0  # 1 of 12 left
        model[2].weight.fill_(1.0)
    found = flops(model, torch.randn(5, 4))
    assert (found.dense, found.effective) == (2 * 5 * (12 + 6), 2 * 5 * (1 + 6))
    assert found.weights["0.weight"].effective == 10
    assert (found.batch, found.other, found.not_counted) == (5, 0, {})


def test_convolution_counts_output_positions_and_groups():
    model = nn.Conv2d(4, 8, 3, groups=2, padding=1)
    with torch.no_grad():
        model.weight.fill_(1.0)[:, 0] = 0.0  # half of it
    found = flops(model, torch.randn(2, 4, 6, 6))
    assert found.dense == 2 * 2 * 36 * (8 * 2 * 9)
    assert found.effective == found.dense // 2


def test_weights_of_one_module_are_told_apart():
    model = nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        model.in_proj_weight.fill_(1.0)[:8] = 0.0  # the queries' third
        model.out_proj.weight.zero_()
    x = torch.randn(2, 5, 8)
    found = flops(model, (x, x, x))
    projection = 2 * 10 * 8 * 8
    assert found.weights["in_proj_weight"].dense == 3 * projection
    assert found.weights["in_proj_weight"].effective == 2 * projection
    assert (found.weights["out_proj.weight"].dense, projection) == (projection, projection)
    assert found.weights["out_proj.weight"].effective == 0
    assert found.other == 2 * 2 * 2 * 5 * 5 * 8  # scores, and their product with the values


def test_the_fused_encoder_layer_is_seen_through():
    fused = torch.backends.mha.get_fastpath_enabled()
    found = flops(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.randn(1, 4, 8))
    assert found.dense == 2 * 4 * (4 * 64 + 2 * 128) + 2 * 2 * 4 * 4 * 8
    assert torch.backends.mha.get_fastpath_enabled() is fused


def test_what_the_counter_does_not_know_is_named():
    model = nn.ModuleDict({"rnn": nn.LSTM(4, 3), "spare": nn.Linear(2, 2)})
    model.forward = lambda x: model["rnn"](x)
    found = flops(model, torch.randn(2, 1, 4))
    assert found.dense == 0
    assert "mkldnn_rnn_layer" in found.not_counted["rnn.weight_ih_l0"]
    assert "rnn.weight_hh_l0" in found.not_counted
    assert found.not_counted["spare.weight"] == "not reached by this example"


class Tied(nn.Module):
    """A head that shares the embedding's weight, under autocast."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(6, 4)
        self.place = nn.Parameter(torch.randn(3, 4))
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens, scale=1.0):  # noqa: D102
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.head(self.embed(tokens) + self.place) * scale


def test_tied_weights_and_casts_are_followed_and_lookups_are_not_missed():
    found = flops(Tied(), {"tokens": torch.zeros(2, 3, dtype=torch.long), "scale": 2.0})
    assert found.weights["embed.weight"].dense == 2 * 6 * 24
    assert (found.other, found.not_counted) == (0, {})


def test_an_embedding_alone_is_nothing_to_miss():
    assert flops(nn.Embedding(5, 3), torch.zeros(2, dtype=torch.long)).not_counted == {}


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    model[1].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = torch.get_rng_state()
    flops(model, torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_an_example_that_does_not_fit_leaves_the_switches_alone():
    fused = torch.backends.mha.get_fastpath_enabled()
    model = nn.Linear(4, 3)
    with pytest.raises(RuntimeError, match="shapes"):
        flops(model, torch.randn(5, 7))
    assert model.training
    assert torch.backends.mha.get_fastpath_enabled() is fused

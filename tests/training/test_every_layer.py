"""Tied weights, attention, recurrent and convolving layers are held like any other."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import AdamW

import rarefy

STEPS = 16
METHODS = ["static", "set", "rigl", "snfs", "gmp"]


def sparse(model, method, optimizer, **given):
    words = {"steps": STEPS, "seed": 0} | given
    if method != "static":
        words["when"] = "every 4 until 75%"
    return rarefy.sparsify(model, 0.75, method, optimizer=optimizer, **words)


def optimizer_of(model):
    return AdamW(model.parameters(), lr=1e-2)


class _Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(12, 12, bias=False)
        self.decoder = nn.Linear(12, 12, bias=False)
        self.decoder.weight = self.encoder.weight
        self.head = nn.Linear(12, 4)

    def forward(self, inputs):
        return self.head(self.decoder(self.encoder(inputs).tanh()))


class _Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, 4)

    def forward(self, inputs):
        inputs = inputs.reshape(-1, 3, 4)
        return self.head(self.attention(inputs, inputs, inputs, need_weights=False)[0].mean(1))


class _Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 5, num_layers=2, proj_size=3, batch_first=True)
        self.head = nn.Linear(3, 4)

    def forward(self, inputs):
        return self.head(self.rnn(inputs.reshape(-1, 3, 4))[0][:, -1])


class _Convolving(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose1d(1, 4, 3)
        self.mix = nn.Conv1d(4, 4, 3, groups=4)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(48, 4)

    def forward(self, inputs):
        return self.head(self.norm(self.mix(self.up(inputs[:, None]))).flatten(1))


NETS = {
    _Tied: {"encoder.weight", "head.weight"},
    _Attention: {"attention.in_proj_weight", "attention.out_proj.weight", "head.weight"},
    _Recurrent: {
        *(f"rnn.weight_{kind}_l{layer}" for kind in ("ih", "hh", "hr") for layer in (0, 1)),
        "head.weight",
    },
    _Convolving: {"up.weight", "mix.weight", "head.weight"},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("net", NETS)
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_every_kind_of_layer(lab, net, method):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = net()
    optimizer = optimizer_of(model)
    sparsifier = sparse(model, method, optimizer)
    assert set(sparsifier.masks) == NETS[net]
    first, weights = sparsifier.masks, copy.deepcopy(model.state_dict())
    lab.train(model, optimizer, lab.batches(STEPS), lambda: lab.assert_zeros(sparsifier, optimizer))
    sparsifier.check()
    assert sparsifier.masks.kept == round(0.25 * first.size)
    for name, mask in sparsifier.masks.items():
        assert not torch.equal(weights[name][mask], model.state_dict()[name][mask]), name
    if net is _Tied:
        assert model.decoder.weight is model.encoder.weight
        assert sparsifier.aliases()["encoder.weight"] == ("encoder.weight", "decoder.weight")

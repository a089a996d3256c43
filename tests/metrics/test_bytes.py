"""Bytes of a whole model, by hand."""

import torch
from torch import nn

from rarefy.metrics import WeightSizes, counts_of, sizes


def half_empty(*shape):
    mask = torch.zeros(shape, dtype=torch.bool)
    mask.view(-1)[: mask.numel() // 4] = True
    return mask


def test_targets_by_format_and_the_rest_dense():
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 2, bias=False))
    counts = counts_of(model, {"0.weight": half_empty(4, 8)})
    found = sizes(counts, model)
    # 32 weights, 8 kept: bitmask 4 + 32, CSR 8 * (4 + 4) + 5 * 4, COO 8 * (4 + 4 + 4)
    assert found.weights == {"0.weight": WeightSizes(128, 36, 36, 84, 96, 36, "bitmask")}
    # bias, norm weight and bias, two running buffers, a step counter, and the weight left out
    assert found.rest == 16 + 2 * 16 + 2 * 16 + 8 + 32
    assert found.total("bitmask") == found.total("smallest") == found.rest + 36


def test_what_stays_dense_in_a_file_is_counted_so():
    model = nn.Linear(8, 4, bias=False)
    found = sizes(counts_of(model, {"weight": torch.ones(4, 8, dtype=torch.bool)}), model)
    assert (found.weights["weight"].format, found.total("smallest")) == ("dense", 128)


def test_tied_tensors_are_stored_once():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    masks = {"0.weight": torch.ones(4, 4, dtype=torch.bool)}
    assert sizes(counts_of(model, masks), model).total("dense") == 64


def test_a_kept_zero_takes_its_place():
    model = nn.Linear(8, 4, bias=False)
    with torch.no_grad():
        model.weight.zero_()
    counts = counts_of(model, {"weight": half_empty(4, 8)})
    assert counts.nonzero == 0
    assert sizes(counts, 100).total("bitmask") == 100 + 36

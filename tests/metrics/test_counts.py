"""Counts on nets that can be counted by hand."""

import pytest
import torch
from torch import nn

from rarefy.errors import TargetError
from rarefy.layers import SparseLinear
from rarefy.metrics import counts, counts_of


def net():
    """6 + 2 + 4 + 2 parameters; weights 3x2 and 2x2."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
        model[0].weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 3.0]]))
        model[1].bias.zero_()
    return model


def test_kept_is_the_masks_and_nonzero_the_values():
    mask = torch.tensor([[True, True, False], [True, False, True]])  # a kept 0.0 at (0, 1)
    found = counts_of(net(), {"0.weight": mask}, pattern="unstructured")
    first, second = found.weights
    assert (first.size, first.kept, first.nonzero, first.pattern) == (6, 4, 3, "unstructured")
    assert first.sparsity == pytest.approx(2 / 6)
    assert (second.kept, second.target, second.pattern) == (4, False, None)
    assert (found.size, found.kept, found.nonzero) == (6, 4, 3)
    assert (found.parameters, found.parameters_nonzero) == (14, 3 + 2 + 4 + 0)
    assert found.parameters_sparsity == pytest.approx(2 / 14)


def test_a_tied_weight_counts_once_under_all_its_names():
    model = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 4))
    model[1].weight = model[0].weight
    found = counts_of(model, {"1.weight": torch.ones(4, 3, dtype=torch.bool)})
    assert [count.aliases for count in found.weights] == [("1.weight", "0.weight")]
    assert found.parameters == 12 + 4


def test_wrapping_changes_no_name():
    masks = {"0.weight": torch.ones(2, 3, dtype=torch.bool)}
    plain = net()
    assert counts_of(torch.compile(plain, backend="eager"), masks) == counts_of(plain, masks)


def test_nan_is_not_zero():
    found = counts({"w": torch.tensor([float("nan"), 0.0])}, {})
    assert found.weights[0].nonzero == 1


def test_masks_of_another_model_are_refused():
    with pytest.raises(TargetError, match="no such weight"):
        counts_of(net(), {"head.weight": torch.ones(2, 3, dtype=torch.bool)})
    with pytest.raises(TargetError, match=r"\(3, 2\); the model has \(2, 3\)"):
        counts_of(net(), {"0.weight": torch.ones(3, 2, dtype=torch.bool)})


def test_a_compressed_weight_counts_without_its_reserve():
    mask = torch.tensor([[True, False, True], [False, True, False]])
    model = nn.Sequential(SparseLinear(3, 2, mask=mask, slack=1.0))
    with torch.no_grad():
        model[0].weight_values[0] = 0.0
    found = counts_of(model, {"0.weight": mask})
    (only,) = found.weights
    assert (only.name, only.shape, only.aliases) == ("0.weight", (2, 3), ("0.weight",))
    assert (only.size, only.kept, only.nonzero) == (6, 3, 2)
    assert found.parameters == 8

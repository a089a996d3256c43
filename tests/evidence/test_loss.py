"""The loss of a batch where the user gives none."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from rarefy.errors import EvidenceError
from rarefy.evidence import check_batches, mean_loss

MODEL = nn.Linear(4, 3)
INPUTS = torch.randn(5, 4)


@dataclass
class Output:
    """As transformers answer."""

    loss: torch.Tensor | None
    logits: torch.Tensor


class Language(nn.Module):
    """Answers as transformers do: by keyword, with a loss of its own."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.inner = nn.Linear(4, 3)

    def forward(self, inputs, labels=None):
        """A loss where there are labels."""
        logits = self.inner(inputs)
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        if self.kind is dict:
            return {"loss": loss, "logits": logits}
        return Output(loss, logits)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_whole_targets_mean_cross_entropy(dtype):
    target = torch.tensor([0, 2, 1, 1, 0])
    wanted = functional.cross_entropy(MODEL(INPUTS), target)
    assert torch.equal(mean_loss(MODEL, (INPUTS, target.to(dtype))), wanted)


def test_whole_targets_may_have_places():
    model = nn.Conv1d(4, 3, 1)
    inputs, target = torch.randn(2, 4, 6), torch.randint(3, (2, 6))
    wanted = functional.cross_entropy(model(inputs), target)
    assert torch.equal(mean_loss(model, (inputs, target)), wanted)


def test_floating_targets_mean_squared_error():
    target = torch.randn(5, 3)
    wanted = ((MODEL(INPUTS) - target) ** 2).mean()
    torch.testing.assert_close(mean_loss(MODEL, [INPUTS, target]), wanted)


@pytest.mark.parametrize("kind", [dict, Output])
def test_a_mapping_is_passed_by_keyword_and_the_models_own_loss_is_taken(kind):
    model, labels = Language(kind), torch.tensor([0, 2, 1, 1, 0])
    wanted = functional.cross_entropy(model.inner(INPUTS), labels)
    assert torch.equal(mean_loss(model, {"inputs": INPUTS, "labels": labels}), wanted)


def test_several_inputs_come_before_the_target():
    model, other, target = nn.Bilinear(4, 2, 3), torch.randn(5, 2), torch.randn(5, 3)
    wanted = functional.mse_loss(model(INPUTS, other), target)
    assert torch.equal(mean_loss(model, (INPUTS, other, target)), wanted)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (
            (INPUTS, torch.zeros(5)),
            r"output of shape \(5, 3\) and a target of shape \(5,\) and torch.float32",
        ),
        (
            (INPUTS, torch.zeros(5, 3, dtype=torch.int64)),
            r"target of shape \(5, 3\) and torch.int64",
        ),
        ((INPUTS, torch.zeros(5, 3, dtype=torch.bool)), "torch.bool"),
        ((INPUTS, torch.zeros(4, dtype=torch.int64)), r"\(4,\)"),
        ((INPUTS, "cat"), "an output of type Tensor and a target of type str"),
        (INPUTS, "a target of type NoneType"),
        ((INPUTS,), "found tuple"),
        (7, "found int"),
    ],
)
def test_where_no_loss_follows_the_line_to_write_is_shown(batch, said):
    with pytest.raises(EvidenceError, match=rf"{said}.*Pass loss=lambda model, batch"):
        mean_loss(MODEL, batch)


def test_an_own_loss_that_is_none_is_no_loss():
    with pytest.raises(EvidenceError, match="output of type Output"):
        mean_loss(Language(Output), {"inputs": INPUTS})


@pytest.mark.parametrize(
    "data",
    [[INPUTS], (INPUTS,), DataLoader(TensorDataset(INPUTS))],
    ids=["list", "tuple", "DataLoader"],
)
def test_what_can_be_read_twice_passes(data):
    check_batches(data)


@pytest.mark.parametrize(
    "data",
    [iter([INPUTS]), (b for b in [INPUTS]), zip([INPUTS], [INPUTS], strict=True), map(id, [])],
)
def test_what_can_be_read_once_is_refused(data):
    with pytest.raises(EvidenceError, match=r"read only once.*the DataLoader itself"):
        check_batches(data)


@pytest.mark.parametrize("data", [INPUTS, {"inputs": INPUTS}, 3, None])
def test_what_holds_no_batches_is_refused(data):
    with pytest.raises(EvidenceError, match=rf"found {type(data).__name__}.*data=\[batch\]"):
        check_batches(data)

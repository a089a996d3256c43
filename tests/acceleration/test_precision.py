"""Low precision is asked for by name with data, and its cost is told in hand-worked numbers."""

import pytest
import torch
from torch import nn

from rarefy.acceleration import _precision
from rarefy.acceleration._precision import accuracy, answer, check_precision
from rarefy.errors import EvidenceError, UnknownName


class Switched(nn.Module):
    """Gives one of two tables: what packed weights would say, and what the own ones say."""

    def __init__(self, fast, plain):
        super().__init__()
        self.fast, self.plain, self.dense = fast, plain, False

    def forward(self, x):  # noqa: D102
        return (self.plain if self.dense else self.fast)[: len(x)]


@pytest.fixture
def switched(monkeypatch):
    """As ``dense()`` for a model that knows itself which of the two it shall be."""

    class Dense:
        def __init__(self, model):
            self.model = model

        def __enter__(self):
            self.model.dense = True

        def __exit__(self, *error):
            self.model.dense = False

    monkeypatch.setattr(_precision, "dense", Dense)
    return Switched


def test_only_known_precisions_with_data_that_can_be_read_again():
    check_precision("float32", None)
    check_precision("int8", [torch.ones(1)])
    with pytest.raises(UnknownName, match="int8"):
        check_precision("int4", [torch.ones(1)])
    with pytest.raises(EvidenceError, match="pass data="):
        check_precision("int8", None)
    with pytest.raises(EvidenceError, match="only once"):
        check_precision("bfloat16", iter([torch.ones(1)]))


def test_errors_are_norm_over_norm(switched):
    model = switched(
        torch.tensor([[3.0, 4.0], [0.0, 10.0]]), torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    )
    found = accuracy(model, [torch.zeros(1), torch.zeros(2)])
    # First batch: error 4 of norm 3. Second: sqrt(16 + 36) of norm 5.
    assert found["relative_error"] == pytest.approx(((16 + 52) / (9 + 25)) ** 0.5)
    assert found["largest_error"] == pytest.approx(52**0.5 / 5)
    assert found["batches"] == 2
    # Largest places: [1] against [0], then [1, 1] against [0, 1].
    assert found["same_choice"] == pytest.approx(1 / 3)


def test_outputs_of_one_side_have_no_choice(switched):
    found = accuracy(switched(torch.ones(4), torch.ones(4)), [torch.zeros(3)])
    assert found == {"relative_error": 0.0, "largest_error": 0.0, "batches": 1.0}


def test_at_most_eight_batches_are_read_and_none_is_an_error(switched):
    model = switched(torch.ones(4), torch.ones(4))
    assert accuracy(model, [torch.zeros(3)] * 20)["batches"] == 8
    with pytest.raises(EvidenceError, match="no batch"):
        accuracy(model, [])


def test_an_output_without_floats_has_no_cost(switched):
    whole = torch.ones(4, dtype=torch.int64)
    with pytest.raises(EvidenceError, match="no float tensor"):
        accuracy(switched(whole, whole), [torch.zeros(3)])


def test_targets_of_a_batch_are_not_given_to_the_model():
    assert answer(nn.Identity(), (torch.ones(2), torch.zeros(2))).sum() == 2

    class Named(nn.Module):
        def forward(self, words):
            return words

    assert answer(Named(), {"words": torch.ones(3), "labels": 1}).sum() == 3

"""What a run writes down."""

import numpy as np
import pytest
import torch

from rarefy.errors import ScoreError
from rarefy.training._history import History, as_numbers


def test_one_record_a_step():
    history = History()
    history.note(0, sparsity=0.5)
    history.note(0, loss=2.0)
    history.note(3, loss=1.0)
    assert history == [{"step": 0, "sparsity": 0.5, "loss": 2.0}, {"step": 3, "loss": 1.0}]


def test_restored_records_are_copies():
    saved = [{"step": 1, "loss": 2.0}]
    history = History()
    history.note(9, loss=0.0)
    history.restore(saved)
    history.note(1, loss=5.0)
    assert saved == [{"step": 1, "loss": 2.0}]
    assert history == [{"step": 1, "loss": 5.0}]


def test_numbers_of_every_kind():
    given = {"a": 1, "b": torch.tensor([2.5]), "c": np.float32(0.5), "d": True}
    found = as_numbers(given)
    assert found == {"a": 1.0, "b": 2.5, "c": 0.5, "d": 1.0}
    assert all(type(value) is float for value in found.values())


def test_a_loss_with_its_graph():
    loss = (torch.ones(1, requires_grad=True) * 3).sum()
    assert as_numbers({"loss": loss}) == {"loss": 3.0}


@pytest.mark.parametrize("value", ["high", None, torch.ones(2), [1.0]])
def test_what_is_no_number_is_named(value):
    with pytest.raises(ScoreError, match=r"log\(loss=\.\.\.\) takes a number"):
        as_numbers({"loss": value})


def test_the_step_is_its_own():
    with pytest.raises(ScoreError, match="another name"):
        as_numbers({"step": 3})

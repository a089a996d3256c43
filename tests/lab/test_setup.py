"""What a run is made of."""

import pytest
import torch

from rarefy.errors import BudgetError, ScheduleError, UnknownName
from rarefy.lab import setup_of


def test_the_run_of_a_task_takes_its_seed(tiny):
    setup = setup_of(tiny, "rigl", 0.9, seed=5)
    assert (setup.task, setup.method, setup.sparsity, setup.seed) == ("tiny", "rigl", 0.9, 5)
    assert torch.equal(setup.build()[0].weight, tiny.build(seed=5)[0].weight)
    assert setup.train.keywords == {"epochs": None, "seed": 5}


def test_an_unknown_word_is_refused(tiny):
    with pytest.raises(UnknownName, match="takes no 'grow'"):
        setup_of(tiny, "rigl", 0.9, words={"grow": "random"})


@pytest.mark.parametrize("given", [{"sparsity": 0.9}, {"words": {"score": "random"}}])
def test_the_dense_control_removes_nothing(tiny, given):
    with pytest.raises(BudgetError, match="dense control"):
        setup_of(tiny, "dense", **given)


def test_epochs_are_checked_before_anything_is_built(tiny):
    with pytest.raises(ScheduleError, match="epochs"):
        setup_of(tiny, "gmp", 0.9, epochs=0)

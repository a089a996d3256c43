"""A deadline lets torch run until its clock says so, and is gone outside."""

import pytest
import torch

from rarefy.acceleration._deadline import Deadline, TooSlow


def test_functions_run_until_the_time_is_over():
    now = [100.0]
    one = torch.ones(2)
    with Deadline(5, clock=lambda: now[0]):
        assert torch.add(one, one, alpha=2).tolist() == [3, 3]
        now[0] = 105.0
        assert (one + one).tolist() == [2, 2]
        now[0] = 105.1
        with pytest.raises(TooSlow, match="longer than 5 s"):
            one + one
    assert (one + one).tolist() == [2, 2]


def test_by_default_it_counts_this_threads_own_time():
    with Deadline(60):
        assert torch.ones(3).sum() == 3
    with Deadline(-1), pytest.raises(TooSlow):
        torch.ones(3)

"""Many moves as one."""

import pytest
import torch

from rarefy.errors import InvariantError
from rarefy.training._commit import commit, copying


def test_every_move_is_made_once_where_nothing_interrupts():
    made = []
    assert commit([lambda n=n: made.append(n) for n in range(4)]) is None
    assert made == [0, 1, 2, 3]
    assert commit([]) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
@pytest.mark.parametrize("where", range(3))
def test_what_was_broken_off_is_made_again_and_the_rest_too(where, error):
    there = [torch.zeros(2) for _ in range(3)]
    raised = []

    def broken(n):
        copy = copying(there[n], torch.full((2,), n + 1.0))

        def move():
            copy()
            if n == where and not raised:
                raised.append(error("now"))
                raise raised[0]

        return move

    assert commit([broken(n) for n in range(3)]) is raised[0]
    assert [each.tolist() for each in there] == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]


def test_the_first_interruption_is_told():
    times = iter([KeyboardInterrupt("first"), KeyboardInterrupt("second")])

    def move():
        for error in times:
            raise error

    assert str(commit([move])) == "first"


def test_what_never_works_is_an_error():
    def move():
        raise RuntimeError("disk on fire")

    with pytest.raises(InvariantError, match=r"0 of 1 tensors \(RuntimeError: disk on fire\)"):
        commit([move])

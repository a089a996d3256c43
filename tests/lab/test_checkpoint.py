"""The file of a run that has not ended."""

import pickle

import pytest
import torch

from rarefy.errors import FileError, StateError
from rarefy.lab import setup_of
from rarefy.lab._checkpoint import Checkpoint, read_checkpoint, settings, write_checkpoint


@pytest.fixture
def saved(tiny, tmp_path):
    setup = setup_of(tiny, "rigl", 0.9, words={"growth": "random"})
    checkpoint = Checkpoint(
        setup=settings(setup),
        step=3,
        steps=40,
        model={"weight": torch.ones(2)},
        optimizers=[{}],
        sparsifier={},
        random=torch.get_rng_state(),
    )
    write_checkpoint(tmp_path / "c.pt", checkpoint)
    return tmp_path / "c.pt", setup


def test_it_comes_back(saved):
    path, setup = saved
    found = read_checkpoint(path, setup)
    assert found.step == 3
    assert torch.equal(found.model["weight"], torch.ones(2))
    assert list(path.parent.iterdir()) == [path], "nothing is left beside it"


def test_there_need_not_be_one(tmp_path, tiny):
    assert read_checkpoint(tmp_path / "none.pt", setup_of(tiny, "gmp", 0.9)) is None


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"words": {"growth": "gradient"}}, "growth was random, is gradient"),
        ({}, "growth was random, is not given"),
        ({"seed": 1, "words": {"growth": "random"}}, "seed was 0, is 1"),
    ],
)
def test_another_run_is_refused_by_what_differs(saved, tiny, other, named):
    with pytest.raises(StateError, match=named):
        read_checkpoint(saved[0], setup_of(tiny, "rigl", 0.9, **other))


def test_a_damaged_file_is_refused(saved):
    path, setup = saved
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FileError, match="damaged"):
        read_checkpoint(path, setup)


def test_no_code_is_ever_run(saved):
    path, setup = saved
    ran = path.with_name("ran")

    class Bomb:
        def __reduce__(self):
            return (ran.touch, ())

    torch.save({"format": 1, "step": Bomb()}, path)
    with pytest.raises(FileError):
        read_checkpoint(path, setup)
    path.write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(FileError):
        read_checkpoint(path, setup)
    assert not ran.exists()


def test_other_contents_are_refused(saved):
    path, setup = saved
    torch.save({"format": 2}, path)
    with pytest.raises(FileError, match="no checkpoint of this rarefy"):
        read_checkpoint(path, setup)


def test_a_folder_that_is_not_there_is_told(saved, tmp_path):
    path, setup = saved
    with pytest.raises(FileError, match="could not be written"):
        write_checkpoint(tmp_path / "no" / "c.pt", read_checkpoint(path, setup))


def test_other_lengths_and_optimizers_are_refused(saved):
    path, setup = saved
    found = read_checkpoint(path, setup)
    with pytest.raises(StateError, match="40 steps and 1"):
        found.restore(41, None, [None], None)
    with pytest.raises(StateError, match="optimizers"):
        found.restore(40, None, [None, None], None)

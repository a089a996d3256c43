"""Several files as one model."""

import pytest
import torch

from rarefy.errors import FileError
from rarefy.files import read
from rarefy.files._joined import Joined, Matrices
from rarefy.formats import pack_bits
from rarefy.targets import Target


@pytest.fixture
def files(tools, tmp_path):
    one = tools.plain_file(tmp_path / "one", {"a.weight": torch.arange(6.0).reshape(2, 3)})
    two = tools.plain_file(tmp_path / "two", {"b.weight": torch.ones(2, 2)})
    return {path: read(path) for path in (one, two)}


def test_tensors_are_found_in_their_file(files):
    joined = Joined(files)
    assert list(joined.records) == ["a.weight", "b.weight"]
    assert torch.equal(joined.tensor("b.weight"), torch.ones(2, 2))
    assert joined.masked == set()
    assert joined.mask("a.weight").all()


def test_the_same_name_twice_is_refused(files, tmp_path):
    (one, contents), _ = files.items()
    with pytest.raises(FileError, match=r"both hold a\.weight: they are not one model"):
        Joined({one: contents, tmp_path / "copy": contents})


def test_a_chosen_mask_zeroes_the_rest(files):
    mask = torch.tensor([[True, False, True], [False, True, False]])
    source = Joined(files).source("a.weight", {"a.weight": pack_bits(mask)})
    assert torch.equal(source.tensor(), torch.tensor([[0.0, 0, 2], [0, 4, 0]]))
    assert torch.equal(source.mask(), mask)


def test_what_is_not_chosen_stays_as_it_is(files, saved):
    source = Joined(files).source("a.weight", {})
    assert torch.equal(source.tensor(), torch.arange(6.0).reshape(2, 3))
    assert source.mask() is None
    held = Joined({saved: read(saved)}).source("0.weight", {})
    assert held.mask().sum() == 32


def test_matrices_are_made_when_asked_for():
    made = []

    def make(key):
        made.append(key)
        return torch.arange(6.0)

    matrices = Matrices(make, {"a": Target("a", ("a",), "", (6, 1), groups=3)})
    assert (len(matrices), list(matrices), made) == (1, ["a"], [])
    assert matrices["a"].shape == (3, 2, 1, 1)
    assert made == ["a"]

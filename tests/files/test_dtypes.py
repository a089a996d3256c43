"""Names of dtypes, and tensors as bytes."""

import pytest
import torch

from rarefy.errors import FileError
from rarefy.files._dtypes import DTYPES, itemsize, name_of, tensor_of, words_of


def test_the_names_are_those_of_the_safetensors_package():
    from safetensors.torch import _TYPES

    assert dict(_TYPES) == DTYPES


@pytest.mark.parametrize("name", list(DTYPES))
def test_round_trip_keeps_every_bit(name):
    raw = torch.arange(64 * itemsize(name), dtype=torch.uint8)
    if name == "BOOL":
        raw = raw % 2
    tensor = raw.view(DTYPES[name]).reshape(4, 16)
    words = words_of(tensor.T)
    assert words.dtype == f"<u{itemsize(name)}"
    back = tensor_of(words, name, (16, 4))
    assert back.dtype == tensor.dtype
    assert torch.equal(back.view(torch.uint8), tensor.T.contiguous().view(torch.uint8))


def test_lazy_conjugates_and_negatives_are_what_they_look_like():
    tensor = torch.tensor([1 + 2j])
    assert torch.equal(tensor_of(words_of(tensor.conj()), "C64", (1,)), torch.tensor([1 - 2j]))


def test_no_sides_and_no_elements():
    assert words_of(torch.tensor(3.0)).shape == (1,)
    assert tensor_of(words_of(torch.tensor(3.0)), "F32", ()) == 3.0
    assert tensor_of(words_of(torch.zeros(3, 0)), "F32", (3, 0)).shape == (3, 0)


def test_a_dtype_without_a_name_is_refused():
    with pytest.raises(FileError, match=r"^a\.b has dtype torch\.complex128, which safetensors"):
        name_of(torch.complex128, "a.b")

"""One tensor: which way it is stored, and back."""

import pytest
import torch

from rarefy.errors import FileError, InvariantError
from rarefy.files._dtypes import DTYPES, tensor_of
from rarefy.files._tensors import Source, describe, encode, restore


def source(tensor, mask=None):
    return Source(lambda: tensor, lambda: mask)


def there_and_back(tensor, mask=None):
    """The record, the stored bytes, and what is read from them."""
    made = source(tensor, mask)
    record = describe("a", made)
    layout = record.layout("a")
    parts = {name: encode(name, record, made) for name in layout}

    def stored(name):
        return tensor_of(parts[name].copy(), *layout[name])

    data = b"".join(part.tobytes() for part in parts.values())
    return record, data, *restore(stored, "a", record)


def sparse(shape=(8, 8), every=4, dtype=torch.float32):
    mask = (torch.arange(64).reshape(8, 8) % every == 0).reshape(shape)
    return (torch.arange(1, 65).reshape(shape) * mask).to(dtype), mask


def test_sparse_is_bits_and_values_in_row_major_order():
    weight, mask = sparse(every=9)
    record, data, tensor, found = there_and_back(weight, mask)
    assert (record.format, record.mask, record.kept, record.nonzero) == ("bitmask", "bits", 8, 8)
    values = torch.tensor([1.0, 10, 19, 28, 37, 46, 55, 64]).numpy().tobytes()
    bits = bytes([1, 2, 4, 8, 16, 32, 64, 128])
    assert data == values + bits
    assert torch.equal(tensor, weight)
    assert torch.equal(found, mask)


def test_dense_is_stored_dense():
    weight = torch.arange(1.0, 65).reshape(8, 8)
    record, data, tensor, found = there_and_back(weight, torch.ones(8, 8, dtype=torch.bool))
    assert (record.format, record.mask) == ("dense", "nonzero")
    assert data == weight.numpy().tobytes()
    assert torch.equal(tensor, weight)
    assert found.all()


@pytest.mark.parametrize(("kept", "form"), [(61, "bitmask"), (62, "dense"), (63, "dense")])
def test_the_smaller_way_is_taken(kept, form):
    mask = torch.arange(64) < kept
    weight = torch.ones(64) * mask
    record, data, tensor, found = there_and_back(weight.reshape(8, 8), mask.reshape(8, 8))
    assert (record.format, record.kept) == (form, kept)
    assert len(data) == min(256, 8 + 4 * kept)
    assert torch.equal(tensor.reshape(-1), weight)
    assert torch.equal(found.reshape(-1), mask)


def test_very_sparse_is_gaps_and_values(tools):
    mask = torch.arange(1024).reshape(32, 32) % 50 == 49
    weight = torch.arange(1.0, 1025).reshape(32, 32) * mask
    weight[1, 17] = -0.0  # place 49, the first that is kept
    record, data, tensor, found = there_and_back(weight, mask)
    # 20 gaps of 50 and 24 places to the end: 21 fields of 6 bits, as 24 of them.
    assert (record.format, record.mask, record.kept, record.nonzero) == ("delta", "bits", 20, 19)
    assert (record.width, record.gaps, len(data)) == (6, 18, 80 + 18)
    assert tools.same(tensor, weight)
    assert torch.equal(found, mask)
    record, _, tensor, found = there_and_back(weight)
    assert (record.format, record.mask, record.kept) == ("delta", "none", 20)
    assert tools.same(tensor, weight)
    assert found is None


def test_a_kept_zero_survives_in_a_sparse_weight():
    weight, mask = sparse()
    weight[0, 0] = 0
    record, _, tensor, found = there_and_back(weight, mask)
    assert (record.kept, record.nonzero) == (16, 15)
    assert torch.equal(tensor, weight)
    assert torch.equal(found, mask)


def test_a_kept_zero_survives_where_dense_would_be_smaller():
    mask = torch.arange(64).reshape(8, 8) != 5
    weight = mask.float()
    weight[7, 7] = 0
    record, _, tensor, found = there_and_back(weight, mask)
    assert (record.format, record.mask) == ("bitmask", "bits")
    assert torch.equal(tensor, weight)
    assert torch.equal(found, mask)


def test_a_full_mask_with_zeros_needs_no_bits():
    weight = torch.ones(8, 8)
    weight[0, 0] = 0
    record, data, tensor, found = there_and_back(weight, torch.ones(8, 8, dtype=torch.bool))
    assert (record.format, record.mask, record.kept, record.nonzero) == ("dense", "all", 64, 63)
    assert len(data) == 256
    assert torch.equal(tensor, weight)
    assert found.all()


def test_nothing_kept():
    weight = torch.zeros(8, 8)
    record, data, tensor, found = there_and_back(weight, torch.zeros(8, 8, dtype=torch.bool))
    assert (record.format, record.kept, data) == ("bitmask", 0, bytes(8))
    assert torch.equal(tensor, weight)
    assert not found.any()


def test_odd_values_keep_their_bits(tools):
    weight, mask = sparse()
    weight[0, 0], weight[0, 4], weight[1, 0] = -0.0, float("nan"), float("inf")
    weight[1, 4] = torch.tensor(0x7F800001, dtype=torch.int32).view(torch.float32)
    _, _, tensor, found = there_and_back(weight, mask)
    assert tools.same(tensor, weight)
    assert torch.equal(found, mask)


def test_a_removed_minus_zero_comes_back_as_zero():
    weight, mask = sparse()
    _, _, tensor, _ = there_and_back(torch.where(mask, weight, -0.0), mask)
    assert not torch.signbit(tensor).any()
    assert torch.equal(tensor, weight)


def test_without_a_mask_every_bit_counts(tools):
    weight = sparse()[0]
    weight[0, 1] = -0.0
    record, _, tensor, found = there_and_back(weight)
    assert (record.format, record.mask, record.kept, record.nonzero) == ("bitmask", "none", 17, 16)
    assert tools.same(tensor, weight)
    assert found is None


def test_vectors_and_whole_numbers_are_stored_dense():
    for tensor in (torch.zeros(64), torch.zeros(8, 8, dtype=torch.int32)):
        record, data, found, mask = there_and_back(tensor)
        assert (record.format, record.mask, len(data)) == ("dense", "none", 256)
        assert torch.equal(found, tensor)
        assert mask is None


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1, 1), (2, 2, 2, 2, 2, 2)])
@pytest.mark.parametrize("dtype", list(DTYPES.values()), ids=list(DTYPES))
def test_every_dtype_and_shape(shape, dtype, tools):
    tensor = torch.ones(shape).to(dtype)
    assert tools.same(there_and_back(tensor)[2], tensor)


FLOATS = [dtype for dtype in DTYPES.values() if dtype.is_floating_point]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("every", [1, 2, 9])
def test_every_floating_dtype_can_be_sparse(dtype, every, tools):
    weight, mask = sparse((4, 2, 8), every, dtype)
    _, _, tensor, found = there_and_back(weight, mask)
    assert tools.same(tensor, weight)
    assert torch.equal(found, mask)


def test_strides_do_not_matter():
    weight, mask = sparse()
    _, _, tensor, found = there_and_back(weight.T, mask.T)
    assert torch.equal(tensor, weight.T)
    assert torch.equal(found, mask.T)


def test_a_removed_weight_that_is_not_zero_is_refused():
    weight, mask = sparse()
    weight[0, 1] = 3
    with pytest.raises(InvariantError, match=r"^a: 1 removed weights are not zero.*check\(\)"):
        describe("a", source(weight, mask))


@pytest.mark.parametrize("mask", [torch.ones(4, 4), torch.ones(8, 8)])
def test_a_mask_of_another_shape_or_dtype_is_refused(mask):
    with pytest.raises(InvariantError, match="its mask is"):
        describe("a", source(torch.ones(8, 8), mask if mask.numel() == 64 else mask.bool()))


def test_a_tensor_that_changes_while_it_is_saved_is_refused():
    weight, mask = sparse()
    record = describe("a", source(weight, mask))
    with pytest.raises(InvariantError, match="changed while it was saved"):
        encode("a.rarefy.values", record, source(weight, torch.zeros_like(mask)))
    with pytest.raises(InvariantError, match="changed while it was saved"):
        encode("a.rarefy.values", record, source(torch.zeros(64)))
    mask = torch.arange(4096) % 64 == 0
    record = describe("a", source(mask.float(), mask))
    assert record.format == "delta"
    with pytest.raises(InvariantError, match="changed while it was saved"):
        encode("a.rarefy.mask", record, source(mask.float(), torch.arange(4096) < 2000))


def test_bools_other_than_0_and_1_are_refused():
    record = describe("a", source(torch.ones(8, dtype=torch.bool)))
    odd = torch.tensor([1, 1, 1, 2, 1, 1, 1, 1], dtype=torch.uint8).view(torch.bool)
    with pytest.raises(FileError, match="bytes other than 0 and 1"):
        restore(lambda _: odd, "a", record)

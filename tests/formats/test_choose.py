"""Which format is smallest for a weight."""

import pytest
import torch

from rarefy.errors import InvariantError
from rarefy.formats import choose, encode
from rarefy.formats._choose import FAMILIES, _of_kept
from rarefy.formats._kept import kept_of


def at_random(density, shape=(200, 200), dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(shape, generator=generator) < density).to(dtype)


def test_every_family_is_predicted_and_really_takes_that(matrix):
    weight = torch.kron(torch.ones(5, 5), matrix)
    choice = choose(weight)
    assert list(choice.families) == [
        *("dense", "bitmask", "delta", "run_length", "csr", "coo", "bsr"),
        *("csr narrow", "coo narrow", "bsr narrow", "n:m", "packed"),
    ]
    assert len(choice.bytes) == len(FAMILIES)
    for name, size in choice.bytes.items():
        assert encode(weight, name).bytes == size
    assert choice.bytes[choice.smallest] == min(choice.bytes.values())


@pytest.mark.parametrize(
    ("density", "smallest", "following", "sparsity"),
    [
        (1.0, "dense", "bitmask", 0.0313),
        (0.8, "bitmask", "delta", 0.618),
        (0.3, "delta 2", "run_length", 0.994),
        (0.01, "delta 8", "run_length", 0.994),
    ],
)
def test_the_ladder_of_an_unstructured_weight(density, smallest, following, sparsity):
    choice = choose(at_random(density))
    assert (choice.smallest, choice.next) == (smallest, following)
    assert choice.next_sparsity == pytest.approx(sparsity, abs=0.003)
    assert choice.least < choice.bytes[smallest] or density == 1.0


def test_a_block_pattern_is_stored_as_blocks():
    weight = torch.kron(at_random(0.1, (50, 200)), torch.ones(4, 1))
    choice = choose(weight)
    assert choice.smallest == "bsr 4x1 narrow"
    # Blocks stay full when fewer are left, so nothing takes over before little is left at all.
    assert choice.next_sparsity is None or choice.next_sparsity > 0.99


def test_an_n_of_m_pattern_keeps_its_slots():
    weight = torch.tensor([1.0, 1, 0, 0, 0, 1, 1, 0]).repeat(64, 8).half()
    choice = choose(weight)
    assert choice.families["n:m"] == "2:4"
    assert choice.bytes["2:4"] == 64 * 64 * 2 * 0.5625
    choice = choose(at_random(1.0, dtype=torch.float16))
    assert "n:m" not in choice.families
    assert "packed" not in choice.families


def test_the_mask_counts(matrix):
    mask = torch.ones(4, 4, dtype=torch.bool)
    assert choose(matrix).least == 20 + 2  # 16 H(5/16) = 14.3 bits
    assert choose(matrix, mask).least == 64
    with pytest.raises(InvariantError, match="5 removed weights"):
        choose(matrix, ~mask)


@pytest.mark.parametrize("shape", [(60, 60), (61,), (7, 5, 3, 3), (1,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int8])
def test_where_all_is_kept_what_was_not_looked_at_is_right(shape, dtype):
    weight = torch.ones(shape, dtype=dtype)
    for mask in (None, weight.bool()):
        choice = choose(weight, mask)
        for name, size in choice.bytes.items():
            assert encode(weight, name, mask).bytes == size, name
        assert set(choice.bytes) == {str(one.format) for one in _of_kept(kept_of(weight))}
    # A kept zero is listed by those whose padding it could be.
    weight.view(-1)[0] = 0
    assert choose(weight, torch.ones_like(weight, dtype=torch.bool)).bytes["dense"] == (
        weight.numel() * weight.element_size() + 4
    )


def test_nothing_kept_and_nothing_there():
    choice = choose(torch.zeros(8, 255))
    assert (choice.smallest, choice.bytes[choice.smallest]) == ("run_length 1", 0)
    assert (choice.next, choice.next_sparsity, choice.least) == (None, None, 0)
    assert choose(torch.zeros(0, 3)).smallest == "dense"

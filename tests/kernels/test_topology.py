"""Slots: which order they stand in, and that it survives every way through a buffer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rarefy.errors import BudgetError, PatternError
from rarefy.kernels import Topology

SHAPES = [(1, 1), (7, 45), (30, 30), (31, 61), (100, 3), (3, 100), (61, 91)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def masked(shape, density=0.3, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < density


def slow_order(mask, blocks=(30, 30)):
    """Places by row block, column block, row and column, one after the other."""
    rows, columns = mask.shape
    down, across = -(-rows // blocks[0]), -(-columns // blocks[1])
    found = []
    for i in range(down):
        for j in range(across):
            for row in range(rows * i // down, rows * (i + 1) // down):
                for column in range(columns * j // across, columns * (j + 1) // across):
                    if mask[row, column]:
                        found.append(row * columns + column)
    return found


@shapes
@pytest.mark.parametrize("density", [0, 0.3, 1])
def test_slots_stand_block_by_block(shape, density):
    mask = masked(shape, density)
    topology = Topology.of_mask(mask)
    assert topology.places().tolist() == slow_order(mask)
    assert torch.equal(topology.mask(), mask)
    assert topology.count == topology.capacity == int(mask.sum())


def test_the_buffer_is_laid_out_as_promised():
    mask = torch.zeros(31, 2, dtype=torch.bool)
    mask[0, 1] = mask[14, 0] = mask[15, 0] = True  # blocks are rows 0 to 14 and 15 to 30
    topology = Topology.of_mask(mask, capacity=5)
    header = [1, 31, 2, 30, 30, 5, 3, 0]
    positions = [1 | (14 * 32) << 16, 0, 0]
    assert topology.buffer.tolist() == [*header, 0, 2, 3, *positions]
    assert topology.buffer.dtype == torch.int32


@shapes
def test_any_order_of_places_gives_the_same_slots(shape):
    mask = masked(shape)
    topology = Topology.of_mask(mask, min(mask.numel(), int(mask.sum()) + 3))
    places = topology.places()
    mixed = places[torch.randperm(len(places))]
    again = Topology.of_places(*shape, mixed, topology.capacity)
    assert torch.equal(again.buffer, topology.buffer)


@shapes
def test_gather_and_scatter_are_each_others_way_back(shape):
    mask = masked(shape)
    topology = Topology.of_mask(mask, min(mask.numel(), int(mask.sum()) + 2))
    dense = torch.randn(shape, dtype=torch.float64) * mask
    values = topology.gather(dense)
    assert values.shape == (topology.capacity,)
    assert not values[topology.count :].any()
    assert torch.equal(topology.scatter(values), dense)


def test_some_row_blocks_have_some_of_the_slots():
    topology = Topology.of_mask(masked((100, 70)))
    parts = [topology.places(block, block + 1) for block in range(topology.row_blocks)]
    assert torch.equal(torch.cat(parts), topology.places())
    first, last = topology.slots_of(1, 3)
    assert torch.equal(topology.places()[first:last], topology.places(1, 3))


@shapes
def test_the_source_is_where_a_slot_was(shape):
    old, new = Topology.of_mask(masked(shape)), masked(shape, seed=1)
    new = Topology.of_mask(new, min(new.numel(), int(new.sum()) + 1))
    slot = {place: number for number, place in enumerate(old.places().tolist())}
    wanted = [slot.get(place, -1) for place in new.places().tolist()]
    wanted += [-1] * (new.capacity - new.count)
    assert new.source(old).tolist() == wanted


def test_a_source_is_found_across_bands(monkeypatch):
    monkeypatch.setattr("rarefy.kernels._topology._BAND", 3000)
    test_the_source_is_where_a_slot_was((61, 91))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 80),
    columns=st.integers(1, 80),
    blocks=st.tuples(st.integers(1, 32), st.integers(1, 32)),
    density=st.sampled_from([0, 0.05, 0.5, 1]),
    seed=st.integers(0, 9),
    slack=st.integers(0, 5),
)
def test_what_is_written_is_read_again(rows, columns, blocks, density, seed, slack):
    mask = masked((rows, columns), density, seed)
    places = mask.flatten().nonzero().squeeze(1)
    capacity = min(mask.numel(), len(places) + slack)
    written = Topology.of_places(rows, columns, places, capacity, blocks)
    read = Topology.read(written.buffer.clone())
    assert (read.rows, read.columns, read.capacity) == (rows, columns, capacity)
    assert (read.block_rows, read.block_columns) == blocks
    assert read.places().tolist() == slow_order(mask, blocks)
    assert torch.equal(read.mask(), mask)


@pytest.mark.parametrize(
    ("places", "capacity", "error", "words"),
    [
        ([0, 5, 5], None, PatternError, "given twice"),
        ([0, 12], None, PatternError, "place 12 lies outside of the 3 x 4"),
        ([-1], None, PatternError, "place -1 lies outside"),
        ([0, 1, 2], 2, BudgetError, "3 places do not fit into 2 slots"),
        ([0], 13, BudgetError, "13 slots are more"),
    ],
)
def test_impossible_places_are_refused(places, capacity, error, words):
    with pytest.raises(error, match=words):
        Topology.of_places(3, 4, torch.tensor(places), capacity)


def test_what_is_no_matrix_of_bool_is_refused():
    for mask in (torch.ones(2, 2), torch.ones(4, dtype=torch.bool), masked((0, 3))):
        with pytest.raises(PatternError, match="no topology"):
            Topology.of_mask(mask)
    with pytest.raises(PatternError, match="flat indices, int64"):
        Topology.of_places(2, 2, torch.tensor([1.0]))
    with pytest.raises(PatternError, match="each side must be 1 to 32"):
        Topology.of_places(2, 2, torch.tensor([1]), blocks=(33, 30))

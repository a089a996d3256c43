"""A damaged topology is found, whichever of its numbers it is."""

import pytest
import torch

from rarefy.errors import StateError
from rarefy.kernels import Topology

HEADER = 8
CELLS = 4  # 40 x 50 in blocks of 20 x 25
POSITIONS = HEADER + CELLS + 1


def topology():
    mask = torch.rand(40, 50, generator=torch.Generator().manual_seed(0)) < 0.3
    return Topology.of_mask(mask, int(mask.sum()) + 5)


def positions(buffer):
    return buffer[POSITIONS:].view(torch.int16)


def word(number, value):
    def damage(buffer):
        buffer[number] = value

    return damage


def position(slot, value):
    def damage(buffer):
        positions(buffer)[slot] = value

    return damage


def swapped(buffer):
    positions(buffer)[:2] = positions(buffer)[:2].flip(0)


def twice(buffer):
    positions(buffer)[1] = positions(buffer)[0]


def starts_that_fall(buffer):
    buffer[HEADER + 1], buffer[HEADER + 2] = buffer[HEADER + 2].item(), buffer[HEADER + 1].item()


DAMAGES = {
    "version": (word(0, 2), "its version is 2"),
    "rows": (word(1, 400), "words"),
    "rows_of_nothing": (word(1, 0), "matrix is 0 x 50"),
    "rows_within_the_blocks": (word(1, 31), "outside of its block"),
    "columns": (word(2, 500), "words"),
    "columns_negative": (word(2, -50), "matrix is 40 x -50"),
    "block_rows": (word(3, 33), "blocks are 33 x 30"),
    "block_rows_other": (word(3, 10), "words"),
    "block_columns": (word(4, 0), "blocks are 30 x 0"),
    "capacity": (word(5, 10), "slots are used"),
    "capacity_of_another_length": (word(5, 1500), "words"),
    "capacity_beyond_the_matrix": (word(5, 2001), "slots are used"),
    "count": (word(6, 3), "starts of its blocks"),
    "count_negative": (word(6, -1), "slots are used"),
    "count_beyond": (word(6, 2000), "slots are used"),
    "reserved": (word(7, 1), "header ends with 1"),
    "first_start": (word(HEADER, 1), "starts of its blocks"),
    "last_start": (word(HEADER + CELLS, 3), "starts of its blocks"),
    "starts_that_fall": (starts_that_fall, "starts of its blocks"),
    "start_of_another_cell": (word(HEADER + 1, 3), "order|outside"),
    "position_negative": (position(0, -1), "out of range"),
    "position_large": (position(3, 1024), "out of range"),
    "column_out_of_block": (position(0, 25), "order|outside"),
    "row_out_of_block": (position(-6, 20 * 32), "order|outside"),
    "swapped": (swapped, "out of order"),
    "twice": (twice, "out of order"),
    "padding": (position(-1, 7), "unused slot"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=list(DAMAGES))
def test_damage_is_found(damage, words):
    buffer = topology().buffer.clone()
    Topology.read(buffer)
    damage(buffer)
    with pytest.raises(StateError, match=f"damaged: .*({words}).*Load it again"):
        Topology.read(buffer)


def test_a_column_outside_of_its_block_is_found_where_the_order_holds():
    lonely = torch.zeros(40, 50, dtype=torch.bool)
    lonely[3, 4] = True
    buffer = Topology.of_mask(lonely).buffer
    for place in (25, 20 * 32):
        positions(buffer)[0] = place
        with pytest.raises(StateError, match="outside of its block"):
            Topology.read(buffer)


@pytest.mark.parametrize(
    "change",
    [
        lambda buffer: buffer.long(),
        lambda buffer: buffer.float(),
        lambda buffer: buffer[None],
        lambda buffer: buffer[:5],
        lambda buffer: buffer[:-1],
        lambda buffer: torch.cat([buffer, buffer[:1]]),
        lambda buffer: buffer.repeat_interleave(2)[::2],
        lambda buffer: buffer[:0],
    ],
)
def test_another_tensor_is_none(change):
    with pytest.raises(StateError, match="damaged"):
        Topology.read(change(topology().buffer))


def test_random_damage_never_gives_another_topology_silently():
    """Whatever is read in spite of a changed word is a topology by all rules."""
    generator = torch.Generator().manual_seed(0)
    sound = topology().buffer
    for _ in range(300):
        buffer = sound.clone()
        at = int(torch.randint(len(buffer), (), generator=generator))
        buffer[at] = int(torch.randint(-(2**31), 2**31, (), generator=generator))
        try:
            found = Topology.read(buffer)
        except StateError:
            continue
        again = Topology.of_places(
            found.rows,
            found.columns,
            found.places(),
            found.capacity,
            (found.block_rows, found.block_columns),
        )
        assert torch.equal(again.buffer, buffer)

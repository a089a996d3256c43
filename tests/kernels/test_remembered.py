"""What is made from bytes is made once, leaves with them, and never outlives a change to them."""

import threading

import pytest
import torch

from rarefy.kernels._remembered import Remembered


class Maker:
    """Counts what it makes: the sum of the bytes and the name."""

    def __init__(self):
        self.made = 0
        self.kept = Remembered(self._make)

    def _make(self, packed, name):
        self.made += 1
        return int(packed.sum()), name

    def __getitem__(self, packed):
        return self.kept.get(packed, "x")[0]


def test_a_value_is_made_once_for_all_who_share_the_memory():
    maker = Maker()
    packed = torch.ones(10, dtype=torch.uint8)
    assert [maker[packed], maker[packed], maker[packed.view(2, 5)], maker[packed.detach()]] == [
        10
    ] * 4
    assert maker.made == 1


def test_names_are_told_apart_in_any_order():
    maker = Maker()
    packed = torch.ones(10, dtype=torch.uint8)
    found = [maker.kept.get(packed, name)[1] for name in ("a", "b", "a", "b", "b")]
    assert found == ["a", "b", "a", "b", "b"]
    assert maker.made == 2


def test_a_change_to_the_bytes_is_seen():
    maker = Maker()
    packed = torch.ones(10, dtype=torch.uint8)
    assert maker[packed] == 10
    packed[0] = 5
    assert maker[packed] == 14
    packed.view(2, 5)[0, 0] = 1
    assert maker[packed] == 10
    with torch.inference_mode():
        packed.add_(1)
        assert maker[packed] == 20
    packed.data = torch.full((10,), 7, dtype=torch.uint8)
    assert maker[packed] == 70


def test_a_part_or_another_order_of_the_same_memory_is_something_else():
    maker = Maker()
    packed = torch.arange(10, dtype=torch.uint8)
    assert maker[packed] == 45
    assert maker[packed[:4]] == 6
    assert maker[packed[:5]] == 10
    assert maker[packed[::2]] == 20  # as many, from the same address
    assert maker[packed] == 45


def test_it_leaves_with_the_memory():
    maker = Maker()
    packed = torch.ones(10, dtype=torch.uint8)
    part = packed[2:4]
    assert (maker[packed], maker[part]) == (10, 2)
    assert len(maker.kept) == 2
    del packed
    assert len(maker.kept) == 2  # a part keeps the whole memory
    del part
    assert len(maker.kept) == 0


def test_memory_that_moved_into_the_same_place_is_not_mistaken():
    maker = Maker()
    for value in range(50):
        packed = torch.full((1000,), value, dtype=torch.uint8)
        assert maker[packed] == 1000 * value
        del packed


def test_inference_tensors_are_remembered_too():
    maker = Maker()
    with torch.inference_mode():
        packed = torch.ones(10, dtype=torch.uint8)
        assert maker[packed] == maker[packed] == 10
    assert maker.made == 1


def test_threads_that_ask_at_once_get_the_same_value():
    maker = Maker()
    packed = torch.ones(10, dtype=torch.uint8)
    ready = threading.Barrier(8)
    found = []

    def ask():
        ready.wait()
        found.append(maker.kept.get(packed, "x"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert maker.made == 1
    assert len(found) == 8


def test_what_could_not_be_made_is_asked_for_again():
    answers = iter([0, 5])
    kept = Remembered(lambda *_: 10 // next(answers))
    packed = torch.ones(3, dtype=torch.uint8)
    with pytest.raises(ZeroDivisionError):
        kept.get(packed, "x")
    assert kept.get(packed, "x") == 2

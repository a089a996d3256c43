"""Which backward passes are recorded."""

from contextlib import contextmanager

import torch

from rarefy.training._recorder import Recorder


class Storage:
    """What a recorder sees of a compressed layer."""

    def __init__(self):
        self.on, self.passes = False, []

    @contextmanager
    def recorded(self):
        """On while it is entered."""
        self.on, self.passes = True, []
        yield
        self.on, self.passes = False, []

    def recorded_passes(self):
        """How many."""
        return len(self.passes)

    def forget_recorded(self, passes=None):
        """The first ones, or all."""
        del self.passes[:passes]


def backward(recorder, storage, name, held):
    storage.passes.append(name)
    recorder.arrived("w", storage, held)


def test_what_belongs_to_the_gradient_that_waits_is_kept():
    recorder, storage = Recorder(), Storage()
    recorder.switch({"w": storage})
    assert storage.on
    backward(recorder, storage, "first", None)
    backward(recorder, storage, "second", torch.ones(2))
    assert storage.passes == ["first", "second"]
    backward(recorder, storage, "third", None)
    assert storage.passes == ["third"]
    storage.passes.append("fourth")  # a layer used twice in one pass
    backward(recorder, storage, "fifth", torch.zeros(2))
    assert storage.passes == ["fourth", "fifth"]


def test_it_is_on_for_those_it_was_switched_on_for():
    recorder, one, other = Recorder(), Storage(), Storage()
    recorder.switch({"w": one})
    backward(recorder, one, "first", None)
    recorder.switch({"w": other})
    assert (one.on, other.on) == (False, True)
    recorder.switch(None)
    recorder.arrived("w", other, None)
    assert not other.on

"""Who is faster: told times, what is remembered of them, and under which key."""

import pytest
import torch
from torch import nn

from rarefy.acceleration._judge import Judge
from rarefy.acceleration._leaf import leaf_piece
from rarefy.acceleration._script import Line, Ref, Script
from rarefy.acceleration._time import Stopwatch
from rarefy.acceleration._timings import Timings
from rarefy.acceleration._translate import alone


class Noted(Stopwatch):
    """Makes every call, keeps what they gave, and says one second for each."""

    def __init__(self):
        super().__init__()
        self.gave = []

    def compare(self, calls):  # noqa: D102
        self.gave.append({name: call() for name, call in calls.items()})
        return dict.fromkeys(calls, 1.0)


@pytest.fixture
def judge():
    """With a stopwatch that notes."""
    return Judge(0.5, Noted(), Timings(None))


@pytest.fixture
def linear(thinned):
    """A sparse layer, frozen."""
    return thinned(nn.Linear(16, 12)).requires_grad_(False)


def test_sparse_wins_by_the_margin_or_not_at_all(judge):
    assert judge.wins(1.0, 1.5)
    assert not judge.wins(1.0, 1.49)
    assert Judge(0, Noted(), Timings(None)).wins(1.0, 1.0)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(16, 12), (2, 3, 16)),
        (nn.Linear(16, 12, bias=False), (5, 16)),
        (nn.Conv2d(3, 4, 3, stride=2, padding=1), (2, 3, 7, 7)),
    ],
)
def test_what_is_timed_is_the_same_layer_in_both_ways(judge, thinned, layer, shape):
    thinned(layer).requires_grad_(False)
    found = judge.layer(leaf_piece(layer), layer, shape, ("float32",))
    assert found == {"dense": 1.0, "float32": 1.0}
    (gave,) = judge.stopwatch.gave
    (sparse,) = gave["float32"]
    torch.testing.assert_close(sparse, gave["dense"], rtol=1e-5, atol=1e-5)
    assert sparse.shape[0] == (6 if shape == (2, 3, 16) else shape[0])


def test_a_layer_is_timed_once_and_again_for_other_zeros_tokens_or_threads(judge, linear):
    def ask(shape=(4, 16)):
        judge.layer(leaf_piece(linear), linear, shape)
        return len(judge.stopwatch.gave)

    assert [ask(), ask(), ask((2, 2, 16))] == [1, 1, 1]
    assert ask((5, 16)) == 2
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert ask() == 3
    finally:
        torch.set_num_threads(threads)
    linear.weight.mul_(torch.arange(192).view(12, 16) % 3 == 0)
    assert ask() == 4


def test_a_further_precision_is_timed_though_float32_is_known(judge, linear):
    piece = leaf_piece(linear)
    judge.layer(piece, linear, (4, 16))
    assert set(judge.layer(piece, linear, (4, 16), ("float32", "int8"))) == {
        "dense",
        "float32",
        "int8",
    }
    assert len(judge.stopwatch.gave) == 2


ONE_CHAIN = (Line("chain", (0, [Ref(0)])), Line("operator.getitem", (Ref(1), 0)))


def test_ways_are_remembered_by_what_they_compute(judge, linear):
    piece = leaf_piece(linear)
    chain = alone(piece, linear, 2)
    script = Script(1, ONE_CHAIN, Ref(2))

    def ask(chain, shapes=((3, 16),), densities=(0.25,), name="whole"):
        judge.variants({name: (script, [chain])}, linear, shapes, densities)
        return len(judge.stopwatch.gave)

    assert [ask(chain), ask(chain)] == [1, 1]
    found = judge.stopwatch.gave[0]["whole"]
    assert found.shape == (3, 12)
    assert ask(chain, ((4, 16),)) == 2
    assert ask(chain, densities=(0.5,)) == 3
    assert ask(chain, name="cut") == 4
    # The same script over another program is another computation.
    relu = chain.program.replace("output r1", "relu r2 r1\noutput r2")
    assert ask(type(chain)(relu, chain.recipes)) == 5


def test_a_packed_chain_is_kept_until_it_is_forgotten(judge, linear):
    chain = alone(leaf_piece(linear), linear, 2)
    first = judge.ready(chain, linear)
    assert judge.ready(chain, linear) is first
    other = nn.Linear(16, 12).requires_grad_(False)
    assert judge.ready(chain, other) is not first
    judge.forget()
    assert judge.ready(chain, linear) is not first
    x = torch.randn(2, 16)
    torch.testing.assert_close(first.plan.run(x)[0], linear(x), rtol=1e-5, atol=1e-6)


def test_only_a_layer_has_a_time(judge, linear):
    piece = leaf_piece(linear)
    piece.layer = None
    with pytest.raises(ValueError, match="only a layer"):
        judge.layer(piece, linear, (4, 16))

"""Shapes without tensors: those that the twin gives, and the same refusals."""

import itertools

import pytest
import torch
from torch.nn import functional

from rarefy.errors import PatternError
from rarefy.kernels._program import steps
from rarefy.kernels._shapes import shape_made, shapes_of


def test_whole_chains_have_the_shapes_of_their_modules(chain):
    for count in (1, 2, 0):
        chain.inputs = [x[:count] for x in chain.inputs]
        given = [x.shape for x in chain.inputs]
        assert shapes_of(chain.program, given) == [y.shape for y in chain.wanted()]


WINDOWS = list(itertools.product((1, 2, 3), (1, 2, 3), (0, 1)))


@pytest.mark.parametrize(("size", "stride", "pad"), WINDOWS)
def test_windows_slide_as_in_torch(size, stride, pad):
    words = f"stride={stride},1 pad={pad},0"
    text = f"rarefy 1\ninput r0 rank=4\nconv r1 r0 w=0:2x3x{size}x1 b=- {words}\noutput r1"
    weight = torch.ones(2, 3, size, 1)
    for side in range(max(1, size - 2 * pad), 9):
        x = torch.ones(1, 3, side, 4)
        wanted = functional.conv2d(x, weight, None, (stride, 1), (pad, 0)).shape
        assert shapes_of(text, [x.shape]) == [wanted]
        if 2 * pad <= size:
            line = f"max_pool r1 r0 size={size},1 {words}"
            (_, step, _) = steps(f"rarefy 1\ninput r0 rank=4\n{line}\noutput r1")
            pooled = functional.max_pool2d(x, (size, 1), (stride, 1), (pad, 0)).shape
            assert shape_made(step, [tuple(x.shape)]) == pooled


def test_sides_and_counts_that_do_not_fit_are_told(simple):
    with pytest.raises(PatternError, match=r"input 0 of the chain has 2 sides; found shape \(7,\)"):
        shapes_of(simple.program, [(7,)])
    with pytest.raises(PatternError, match="takes 1 tensors; found 0"):
        shapes_of(simple.program, [])
    with pytest.raises(PatternError, match="side -1 must be 70"):
        shapes_of(simple.program, [(2, 3)])

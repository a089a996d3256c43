"""A module as a graph: open sizes, names, constants, and the reasons why there is none."""

import pytest
import torch
from torch import nn

from rarefy.acceleration import _trace
from rarefy.acceleration._arguments import Constant, Opaque, TensorLike
from rarefy.acceleration._trace import Uncapturable, trace

ATEN = torch.ops.aten


def floats(*shape):
    return TensorLike(shape, torch.float32)


def traced(module, **arguments):
    return trace(module.eval(), arguments)


class Plus(nn.Module):
    """Adds a constant that the code makes, and a row that fixes a size."""

    def __init__(self):
        super().__init__()
        self.row = nn.Parameter(torch.ones(7))

    def forward(self, x, shift=0.0):  # noqa: D102
        return x + self.row + torch.tensor([2.0]) + shift


def test_a_batch_of_one_is_doubled_and_stays_open(mlp):
    found = traced(mlp, input=floats(1, 8))
    assert found.arguments["input"].shape == (2, 8)
    assert found.pinned["input"] == (None, 8)


def test_a_size_that_the_code_fixes_is_a_whole_number_and_the_others_are_open():
    found = traced(Plus(), x=floats(3, 5, 7))
    assert found.pinned["x"] == (None, None, 7)
    found = traced(Plus(), x=floats(3, 7))
    assert found.pinned["x"] == (None, 7)
    assert type(found.pinned["x"][1]) is int


def test_of_images_the_batch_alone_is_open():
    found = traced(nn.Conv2d(2, 3, 3), input=floats(3, 2, 6, 6))
    assert found.pinned["input"] == (None, 2, 6, 6)


def test_parameters_have_their_names_and_what_the_code_made_is_a_constant():
    found = traced(Plus(), x=floats(3, 7), shift=Constant(1.5))
    names = {node.target for node in found.graph.nodes if node.op == "get_attr"}
    assert "row" in names
    assert names == {"row", *found.constants}
    assert [c.tolist() for c in found.constants.values()] == [[2.0]]


def test_fused_attention_is_taken_apart_and_allowed_again_afterwards():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    before = torch.backends.mha.get_fastpath_enabled()
    found = traced(layer, src=floats(3, 5, 8))
    assert torch.backends.mha.get_fastpath_enabled() is before
    names = {node.target for node in found.graph.nodes if node.op == "get_attr"}
    assert {"linear1.weight", "linear2.weight", "self_attn.out_proj.weight"} <= names


def test_random_numbers_and_gradient_mode_stay_as_they_are(mlp):
    before = torch.get_rng_state()
    traced(mlp, input=floats(3, 8))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()


@pytest.fixture(autouse=True)
def tracer_is_loaded(tracer):
    """Every test here traces."""


class Branch(nn.Module):
    """Asks for a value."""

    def forward(self, x):  # noqa: D102
        return x * 2 if x.sum() > 0 else x


class Region(nn.Module):
    """Has a region of its own."""

    def forward(self, x):  # noqa: D102
        with torch.autocast("cpu", torch.bfloat16):
            return x @ x.t()


@pytest.mark.parametrize(
    ("module", "word"),
    [(Branch(), "tracing raised"), (Region(), "region of its own")],
)
def test_what_cannot_be_captured_has_one_line_that_says_why(module, word, capsys):
    with pytest.raises(Uncapturable, match=word) as raised:
        traced(module, x=floats(3, 4))
    assert "\n" not in str(raised.value)
    assert capsys.readouterr() == ("", "")


def test_arguments_that_cannot_be_told_are_named():
    with pytest.raises(Uncapturable, match="past is a DynamicCache"):
        trace(nn.ReLU(), {"input": floats(2, 2), "past": Opaque("DynamicCache")})


def test_slow_tracing_is_tried_with_fewer_open_sides_and_then_given_up(mlp, monkeypatch):
    tries = []
    real = _trace._attempt

    def counted(module, arguments, open_sides):
        tries.append(open_sides)
        return real(module, arguments, open_sides)

    monkeypatch.setattr(_trace, "_attempt", counted)
    monkeypatch.setattr(_trace, "_SECONDS", -1.0)
    with pytest.raises(Uncapturable, match="hard to reason about: tracing took longer"):
        traced(mlp, input=floats(3, 8))
    assert tries == [2, 1]

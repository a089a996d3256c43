"""Layers and norms as steps: which weight, how it lies, and which forms stay in torch."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from rarefy.acceleration._pieces import piece_of
from rarefy.acceleration._weight_pieces import linear


class Free(nn.Module):
    """A function of an input and parameters."""

    def __init__(self, function, *shapes):
        super().__init__()
        self.function = function
        self.free = nn.ParameterList(torch.ones(shape) for shape in shapes)

    def forward(self, x):  # noqa: D102
        return self.function(x, *self.free)


@pytest.fixture
def last_piece(unit_of):
    """A function from a module to the piece of its last operation, or why there is none."""

    def make(module, *shape):
        return piece_of(unit_of(module, **{_argument(module): shape}).nodes[-1], module)

    return make


def _argument(module):
    return "x" if isinstance(module, Free) else "input"


def test_a_functional_linear_has_its_parameters_names(last_piece):
    piece = last_piece(Free(functional.linear, (5, 4), (5,)), 3, 4)
    assert piece.layer.name == "free.0"
    assert piece.layer.shape == (5, 4)
    assert not piece.layer.turned
    (part,) = piece.parts
    assert part.options["b"].recipe.sources[0].name == "free.1"


def test_a_weight_with_its_inputs_first_is_turned(last_piece):
    piece = last_piece(Free(lambda x, w, b: torch.addmm(b, x, w), (4, 5), (5,)), 3, 4)
    assert piece.layer.turned
    assert piece.layer.shape == (5, 4)
    assert piece.parts[0].options["w"].recipe.kind == "turned"
    again = last_piece(Free(lambda x, w, b: torch.addmm(b, x, w.t()), (5, 4), (5,)), 3, 4)
    assert not again.layer.turned
    assert again.layer.shape == (5, 4)


def test_a_convolution_has_pairs(last_piece):
    (part,) = last_piece(nn.Conv2d(2, 3, 3, stride=(1, 2), padding=1), 3, 2, 6, 6).parts
    assert part.op == "conv"
    assert (part.options["stride"], part.options["pad"]) == ((1, 2), (1, 1))
    (part,) = last_piece(nn.Conv2d(2, 3, (3, 5), padding="same"), 3, 2, 6, 6).parts
    assert part.options["pad"] == (1, 2)


def test_a_batch_norm_reads_its_statistics_and_the_counter_that_tells_they_moved(last_piece):
    piece = last_piece(nn.BatchNorm2d(2, eps=0.5), 3, 2, 4, 4)
    recipe = piece.parts[0].options["s"].recipe
    assert [s.key for s in recipe.sources] == [
        "weight", "bias", "running_mean", "running_var", "num_batches_tracked",
    ]  # fmt: skip
    assert (recipe.kind, recipe.size, recipe.eps) == ("affine", 2, 0.5)
    assert piece.layer is None


def test_a_layer_norm_of_the_last_side(last_piece):
    (part,) = last_piece(nn.LayerNorm(4, eps=0.25), 3, 4).parts
    assert (part.op, part.options["eps"]) == ("norm", 0.25)
    bare = last_piece(nn.LayerNorm(4, elementwise_affine=False), 3, 4)
    assert bare.parts[0].options["p"].recipe.sources == (None, None)


@pytest.mark.parametrize(
    ("module", "shape", "word"),
    [
        (nn.Conv2d(2, 4, 3, groups=2), (3, 2, 6, 6), "groups=2"),
        (nn.Conv2d(2, 4, 3, dilation=2), (3, 2, 6, 6), "dilated"),
        (nn.Conv2d(2, 4, 2, padding="same"), (3, 2, 6, 6), ""),
        (nn.BatchNorm2d(2, track_running_stats=False), (3, 2, 4, 4), "own statistics"),
        (nn.LayerNorm((3, 4)), (2, 3, 4), "more than the last side"),
        (Free(lambda x, w: functional.linear(x, w * 2), (5, 4)), (3, 4), "computed"),
        (Free(lambda x, w: functional.linear(w, x), (5, 4)), (3, 4), "computed"),
        (Free(lambda x, w, b: torch.addmm(b, x, w, beta=2), (4, 5), (5,)), (3, 4), "beta"),
        (Free(lambda x, w, b: torch.addmm(b, x, w), (4, 5), (1, 5)), (3, 4), "another length"),
    ],
)
def test_other_forms_stay_in_torch_with_a_reason(last_piece, module, shape, word):
    why = last_piece(module, *shape)
    assert isinstance(why, str)
    assert word in why


def test_a_weight_of_the_module_only(unit_of):
    unit = unit_of(nn.Linear(4, 3), input=(2, 4))
    (node,) = unit.pieces
    assert linear(node, unit.module).inputs == (node.args[0],)
    assert "not a float32 parameter" in piece_of(node, nn.ReLU())

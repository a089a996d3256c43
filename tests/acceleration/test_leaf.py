"""Which single layers can run sparse by themselves, and what their step says."""

import pytest
import torch
from torch import nn

from rarefy.acceleration._leaf import is_leaf, leaf_piece


class Louder(nn.Linear):
    """A Linear with a forward of its own."""

    def forward(self, x):  # noqa: D102
        return 2 * super().forward(x)


def test_layers_of_torch_are_leaves_and_a_forward_of_ones_own_is_not():
    assert is_leaf(nn.Linear(3, 2))
    assert is_leaf(nn.Conv2d(3, 2, 3))
    assert not is_leaf(Louder(3, 2))
    assert not is_leaf(nn.ConvTranspose2d(3, 2, 3))
    assert not is_leaf(nn.ReLU())


def test_a_forward_set_on_the_object_and_a_computed_weight_are_no_leaves():
    patched = nn.Linear(3, 2)
    patched.forward = lambda x: x
    assert not is_leaf(patched)
    assert not is_leaf(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)))


def test_a_linear_is_one_step_with_its_weight_and_bias():
    piece = leaf_piece(nn.Linear(3, 2))
    (part,) = piece.parts
    assert part.op == piece.layer.op == "linear"
    assert part.options["w"].shape == (2, 3)
    assert part.options["b"].recipe.sources[0].name == "bias"
    assert leaf_piece(nn.Linear(3, 2, bias=False)).parts[0].options["b"].recipe is None


@pytest.mark.parametrize(
    ("padding", "pad"), [(1, (1, 1)), ("valid", (0, 0)), ("same", (1, 2)), ((0, 2), (0, 2))]
)
def test_a_convolution_tells_its_stride_and_padding(padding, pad):
    options = leaf_piece(nn.Conv2d(3, 2, (3, 5), padding=padding)).parts[0].options
    assert (options["stride"], options["pad"]) == ((1, 1), pad)


@pytest.mark.parametrize(
    ("module", "word"),
    [
        (nn.Conv2d(4, 4, 3, groups=2), "groups=2"),
        (nn.Conv2d(4, 4, 3, dilation=2), "dilated"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "reflect"),
        (nn.Conv2d(4, 4, 2, padding="same"), "same on both sides"),
        (nn.Linear(3, 2, dtype=torch.float64), "float64"),
    ],
)
def test_what_no_kernel_computes_has_a_reason(module, word):
    assert word in leaf_piece(module)


def test_gpt2s_conv1d_has_its_inputs_first(monkeypatch):
    class Conv1D(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(2))

    assert not is_leaf(Conv1D())  # the name alone is not enough
    monkeypatch.setattr(Conv1D, "__module__", "transformers.pytorch_utils")
    piece = leaf_piece(Conv1D())
    assert is_leaf(Conv1D())
    assert piece.layer.turned
    assert piece.layer.shape == (2, 3)
    assert piece.parts[0].options["w"].recipe.kind == "turned"

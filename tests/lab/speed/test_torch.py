"""torch as a runtime: the same numbers in each of its ways."""

import pytest
import torch
from torch import nn

from rarefy.errors import TargetError
from rarefy.lab.speed import linear
from rarefy.lab.speed._prepared import off_by
from rarefy.lab.speed._torch import chain_of, csr, eager


@pytest.fixture
def built():
    return linear(12, 12, 5, sparsity=0.5, layers=3)


@torch.no_grad()
def test_eager_is_the_module_itself(built):
    model, example = built
    made = eager(model, example, 1, "float32")
    assert torch.equal(made.call(), model(example))
    assert made.bytes == 3 * 4 * (144 + 12)


@torch.no_grad()
def test_bfloat16_takes_and_gives_float32_and_leaves_the_model(built):
    model, example = built
    made = eager(model, example, 1, "bfloat16")
    found = made.call()
    assert found.dtype == torch.float32
    assert 0 < off_by(found, model(example)) < 0.05
    assert made.bytes == 3 * 2 * (144 + 12)
    assert model[0].weight.dtype == torch.float32


@pytest.mark.skipif(
    torch.backends.quantized.engine == "none", reason="this torch has no int8 kernels"
)
@torch.no_grad()
def test_int8_is_near(built):
    model, example = built
    made = eager(model, example, 1, "int8")
    assert 0 < off_by(made.call(), model(example)) < 0.1
    assert "Linear only" in made.note


@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_csr_gives_the_same_in_the_same_layout(built, bias):
    model, example = built
    if not bias:
        model[0].bias = None
    made = csr(model, example, 1, "float32")
    assert torch.allclose(made.call(), model(example), atol=1e-6)
    assert made.call().is_contiguous()
    assert made.bytes == 3 * (12 * 72 + 8 * 13)


def test_what_is_no_chain_is_refused():
    with pytest.raises(TargetError, match="it runs chains of Linear and ReLU; found Conv2d"):
        chain_of(nn.Sequential(nn.Linear(2, 2), nn.Conv2d(1, 1, 1)), "it")

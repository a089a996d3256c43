"""Runtimes that read ONNX."""

import pytest
import torch
from torch import nn

from rarefy.lab.speed import conv, runtime_of
from rarefy.lab.speed._prepared import off_by

pytest.importorskip("onnx")


class Two(nn.Module):
    """Takes two tensors."""

    def forward(self, x, y):
        """Every row of one times every row of the other."""
        return x @ y.t()


@pytest.mark.slow
@torch.no_grad()
def test_onnxruntime_gives_what_torch_gives():
    pytest.importorskip("onnxruntime")
    model, example = conv(4, 3, 3, 6, 2)
    found = runtime_of("onnxruntime").prepare(model, example, 1, "float32").call()
    assert off_by(found, model(example)) < 1e-5
    pair = torch.randn(2, 3), torch.randn(5, 3)
    found = runtime_of("onnxruntime").prepare(Two(), pair, 1, "float32").call()
    assert off_by(found, pair[0] @ pair[1].t()) < 1e-5


@pytest.mark.slow
@torch.no_grad()
def test_deepsparse_gives_what_torch_gives():
    pytest.importorskip("deepsparse")
    model, example = conv(16, 16, 3, 6, 2, sparsity=0.9)
    found = runtime_of("deepsparse").prepare(model, example, 1, "float32").call()
    assert off_by(found, model(example)) < 1e-4

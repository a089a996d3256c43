"""scipy as a runtime."""

import pytest
import torch

from rarefy.lab.speed import linear
from rarefy.lab.speed._scipy import csr

pytest.importorskip("scipy")


@torch.no_grad()
def test_it_gives_what_torch_gives():
    model, example = linear(12, 12, 5, sparsity=0.5, layers=2)
    model[0].bias = None
    made = csr(model, example, 2, "float32")
    assert torch.allclose(torch.from_numpy(made.call()), model(example), atol=1e-6)
    assert torch.allclose(torch.from_numpy(made.call()), model(example), atol=1e-6), "again"
    assert made.bytes == 2 * (8 * 72 + 4 * 13)
    assert made.note == "scipy has one thread"

"""OpenVINO as a runtime."""

import pytest
import torch

from rarefy.lab.speed import linear, runtime_of
from rarefy.lab.speed._prepared import off_by

pytest.importorskip("openvino")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "near"), [("float32", 1e-5), ("bfloat16", 0.02), ("int8", 0.1)]
)
@torch.no_grad()
def test_it_gives_what_torch_gives(precision, near):
    if precision == "int8":
        pytest.importorskip("nncf")
    model, example = linear(32, 32, 8, layers=2)
    made = runtime_of("openvino").prepare(model, example, 1, precision)
    assert off_by(made.call(), model(example)) < near
    assert ("bfloat16 by hint" in made.note) == (precision == "bfloat16")

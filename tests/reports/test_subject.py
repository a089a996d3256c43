"""What report() takes."""

import pytest
import torch

import rarefy
from rarefy.errors import TargetError
from rarefy.reports import report


def test_the_public_verb_is_this_function():
    assert rarefy.report is report


def test_a_wrapped_model_is_found_with_its_sparsifier(trained):
    compiled = torch.compile(trained.model, backend="eager")
    found = report(compiled, torch.ones(3, 8))
    assert (found.name, found.method, found.counts.kept) == ("Sequential", "static", 15)
    assert found.flops.effective == 90


@pytest.mark.parametrize(
    "given",
    [
        {"example": torch.ones(1, 8)},
        {"evaluate": len},
        {"dense": torch.nn.Linear(1, 1)},
        {"fast": torch.nn.Linear(1, 1)},
    ],
)
def test_a_file_cannot_be_run(tmp_path, given):
    with pytest.raises(TargetError, match=r"no code.*rarefy\.load"):
        report(tmp_path / "model.safetensors", **given)


def test_anything_else_is_refused():
    with pytest.raises(TargetError, match="found dict"):
        report({"0.weight": torch.ones(2, 2)})

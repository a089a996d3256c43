"""Weights that zeros cannot be written into."""

import pytest
import torch
from torch import nn

from rarefy.errors import TargetError
from rarefy.targets import find


def test_what_cannot_be_written_is_refused_by_name():
    with torch.inference_mode():
        frozen = nn.Linear(4, 4)
    with pytest.raises(
        TargetError, match=r"weight was made in inference mode.*Nothing was changed"
    ):
        find(frozen)
    shared = nn.Linear(4, 4)
    shared.weight = nn.Parameter(torch.randn(1, 4).expand(4, 4))
    with pytest.raises(TargetError, match="weight is expanded"):
        find(shared)

"""A task so small that a run takes no time."""

import pytest
import torch

from rarefy.lab.tasks import Data, Task


@pytest.fixture(autouse=True)
def _quick_latency(monkeypatch):
    monkeypatch.setattr("rarefy.reports._of_model._SECONDS", 0.001)
    monkeypatch.setattr("rarefy.lab._fast._SECONDS", 0.001)
    monkeypatch.setenv("RAREFY_TIMINGS", "off")


@pytest.fixture
def tiny():
    """Three classes around three corners; 60 samples of 6 numbers, 10 steps an epoch."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(90) % 3
    corners = 2.0 * torch.eye(3).repeat(1, 2)
    inputs = corners[targets] + torch.randn(90, 6, generator=generator)
    data = Data(
        inputs=inputs[:60],
        targets=targets[:60],
        test_inputs=inputs[60:],
        test_targets=targets[60:],
        classes=3,
    )
    return Task(
        name="tiny",
        description="three corners",
        data=data,
        hidden=(20,),
        epochs=4,
        batch=6,
        rate=0.1,
        decay=1e-4,
    )

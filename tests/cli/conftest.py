"""A runner for the command, in an empty folder, and small files to give it."""

import json
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

import rarefy
from rarefy.cli import app


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rarefy.reports._of_model._SECONDS", 0.001)
    monkeypatch.setattr("rarefy.lab._fast._SECONDS", 0.001)
    monkeypatch.setenv("RAREFY_TIMINGS", "off")


@pytest.fixture
def rarefy_():
    """Runs the command with these words; checks the exit code and that no traceback is shown."""

    def call(*words, code=0):
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return call


@pytest.fixture
def as_json(rarefy_):
    """Runs the command with ``--json``: stdout is one document, read and returned."""

    def call(*words):
        result = rarefy_(*words, "--json")
        return json.loads(result.stdout)

    return call


def _net():
    net = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.arange(1.0, parameter.numel() + 1).view_as(parameter))
    return net


@pytest.fixture
def dense_file(tmp_path):
    """An ordinary file with weights of 48 and 12 elements and biases of 6 and 2."""
    path = tmp_path / "dense.safetensors"
    save_file(_net().state_dict(), path)
    return path


@pytest.fixture
def sparse_file(tmp_path):
    """The same network pruned to 75 %: 15 of 60 kept."""
    net = _net()
    rarefy.sparsify(net, 0.75)
    path = tmp_path / "sparse.safetensors"
    rarefy.save(net, path)
    return path


_MINE = '''
"""A user's own task."""
import torch
from torch import nn

def build():
    print("building")
    return nn.Linear(8, 4)

def batch(step):
    return torch.randn(16, 8, generator=torch.Generator().manual_seed(step))

def batches():
    return [(batch(step), torch.arange(16) % 4) for step in range(2)]

def train(model, attach, start=0):
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    sparsifier = attach(optimizer, steps=40)
    for step in range(start, 40):
        loss = (model(batch(step)) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        if sparsifier is not None:
            sparsifier.log(loss=loss)
        optimizer.step()

def stops(model, attach, start=0):
    def stop(*_):
        taken.append(1)
        if len(taken) == 11:
            raise KeyboardInterrupt
    taken = []
    def attached(optimizer, steps):
        sparsifier = attach(optimizer, steps=steps)
        optimizer.register_step_post_hook(stop)
        return sparsifier
    train(model, attached, start)

def evaluate(model):
    return float((model(batch(99)) - 1).square().mean())

number = 3
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module ``mine`` in the current folder; forgotten afterwards."""
    (tmp_path / "mine.py").write_text(_MINE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    yield "mine"
    sys.modules.pop("mine", None)

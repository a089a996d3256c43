"""A small sparse model, its report, and readers for what a report writes."""

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import rarefy
from rarefy.metrics import Latency
from rarefy.reports import report


@pytest.fixture(autouse=True)
def _quick_latency(monkeypatch):
    monkeypatch.setattr("rarefy.reports._of_model._SECONDS", 0.001)


@pytest.fixture
def model():
    """Weights 6 x 8 and 2 x 6, all different, so that nothing hangs on the random state."""
    net = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.arange(1.0, parameter.numel() + 1).view_as(parameter) / 60)
    return net


@pytest.fixture
def trained(model):
    """A Sparsifier after four steps of static training at 75 %."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    sparsifier = rarefy.sparsify(model, 0.75, "static", optimizer=optimizer, steps=4, seed=0)
    for step in range(4):
        loss = model(torch.ones(3, 8)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        sparsifier.log(loss=1.0 / (step + 1))
    return sparsifier


@pytest.fixture
def full(trained):
    """A report with something in every part."""
    dense = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))
    return report(trained, torch.ones(3, 8), evaluate=lambda _: {"accuracy": 0.5}, dense=dense)


@pytest.fixture
def quick(full):
    """The same with an accelerated model beside it, of which one weight stayed dense."""
    rows = (
        {
            "name": "0.weight", "density": 0.25, "kernel": "float32", "dense": 4e-6,
            "sparse": 1e-6, "kept": True, "why": "4.0x as fast", "shape": [6, 8],
        },
        {
            "name": "2.weight", "density": 0.25, "kernel": "dense", "dense": 4e-6,
            "sparse": None, "kept": False, "why": "<too small>", "shape": [2, 6],
        },
    )  # fmt: skip
    latency = {
        "this": Latency((2.0, 2.0, 2.0), 1, 3),
        "dense": Latency((4.0, 4.0, 4.0), 1, 3),
        "fast": Latency((1.0, 1.0, 1.0), 1, 3),
    }
    return replace(full, latency=latency, accelerated=rows)


@pytest.fixture
def read_png():
    """PNG to width, height, depth, palette, opacities and rows of bytes; checks each chunk."""
    return _read_png


def _read_png(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (check,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert check == zlib.crc32(kind + content)
        chunks[kind] = content
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]
    width, height, depth, colours, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (colours, rest) == (3, [0, 0, 0])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()  # the filter of each row: none
    return width, height, depth, chunks[b"PLTE"], chunks[b"tRNS"], rows[:, 1:]

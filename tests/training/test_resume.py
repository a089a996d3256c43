"""Invariant 4: killed at any step and resumed is the uninterrupted run, bit for bit."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.optim import SGD, AdamW

import rarefy
from rarefy import growth

STEPS = 24
WORKER = Path(__file__).with_name("worker_alone.py")

METHODS = {
    "static": {},
    "set": {"when": "every 4 until 75%"},
    "drawn": {
        "method": "set",
        "when": "every 4 until 75%",
        "growth": growth.Random(decay="constant", start="normal"),
    },
    "rigl": {"when": "every 4 until 75%"},
    "snfs": {"when": "every 4 until 75%"},
    "gmp": {"when": "every 4 from 2 until 18"},
    "gmp_regrowing": {
        "method": "gmp",
        "when": "every 4 from 2 until 18",
        "growth": "gradient",
        "allocation": {"^0": 0.5},
    },
}
OPTIMIZERS = {
    "sgd": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3),
    "adamw": lambda m: AdamW(m.parameters(), lr=1e-2),
}


def make(lab, method, optimizer, *, seed):
    """A run at its start; another seed gives other weights and other masks."""
    model = lab.build(seed)
    made = OPTIMIZERS[optimizer](model)
    words = {"method": method} | METHODS[method]
    sparsifier = rarefy.sparsify(
        model, 0.6, words.pop("method"), optimizer=made, steps=STEPS, seed=seed, **words
    )
    return model, made, sparsifier


def through_a_file(parts):
    file = io.BytesIO()
    torch.save([part.state_dict() for part in parts], file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def whole(parts):
    """Everything of a run, for comparison: weights, optimizer state, masks, history, averages."""
    model, optimizer, sparsifier = parts
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict()["state"],
        "masks": dict(sparsifier.masks),
        "history": list(sparsifier.history),
        "state": sparsifier.state_dict(),
    }


def assert_same(lab, one, other, path=""):
    if isinstance(one, dict):
        assert set(one) == set(other), path
        for key in one:
            assert_same(lab, one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for place, (mine, yours) in enumerate(zip(one, other, strict=True)):
            assert_same(lab, mine, yours, f"{path}/{place}")
    elif isinstance(one, torch.Tensor):
        assert lab.same_bits(one, other), path
    else:
        assert one == other, path


@pytest.fixture(scope="module")
def uninterrupted():
    """The whole run of each method and optimizer, made once."""
    kept = {}

    def once(lab, method, optimizer):
        if (method, optimizer) not in kept:
            parts = make(lab, method, optimizer, seed=0)
            lab.train(*parts[:2], lab.batches(STEPS))
            kept[method, optimizer] = whole(parts)
        return kept[method, optimizer]

    return once


@pytest.mark.parametrize("stop", [0, 1, 3, 4, 5, 8, 10, 12, 17, 18, 23])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("method", METHODS)
def test_resumed_is_uninterrupted(lab, uninterrupted, method, optimizer, stop):
    data = lab.batches(STEPS)
    parts = make(lab, method, optimizer, seed=0)
    lab.train(*parts[:2], data[:stop])
    saved = through_a_file(parts)
    del parts
    again = make(lab, method, optimizer, seed=1)
    for part, state in zip(again, saved, strict=True):
        part.load_state_dict(state)
    assert again[2].step == stop
    lab.train(*again[:2], data[stop:], again[2].check)
    assert_same(lab, whole(again), uninterrupted(lab, method, optimizer))


def test_runs_differ_where_they_should(lab, uninterrupted):
    """The comparison can fail: a run that loses its averages is another one."""
    data = lab.batches(STEPS)
    parts = make(lab, "snfs", "sgd", seed=0)
    lab.train(*parts[:2], data[:6])
    saved = through_a_file(parts)
    saved[2]["averages"] = {}
    again = make(lab, "snfs", "sgd", seed=0)
    for part, state in zip(again, saved, strict=True):
        part.load_state_dict(state)
    lab.train(*again[:2], data[6:])
    with pytest.raises(AssertionError):
        assert_same(lab, whole(again), uninterrupted(lab, "snfs", "sgd"))


@pytest.mark.parametrize("method", ["rigl", "snfs"])
def test_a_step_with_several_micro_batches(lab, method):
    def train(parts, groups):
        for group in groups:
            parts[1].zero_grad()
            for batch in group:
                lab.backward(parts[0], batch)
            parts[1].step()

    data = lab.batches(STEPS * 2)
    groups = [data[place : place + 2] for place in range(0, len(data), 2)]
    reference = make(lab, method, "adamw", seed=0)
    train(reference, groups)
    parts = make(lab, method, "adamw", seed=0)
    train(parts, groups[:7])
    again = make(lab, method, "adamw", seed=1)
    for part, state in zip(again, through_a_file(parts), strict=True):
        part.load_state_dict(state)
    train(again, groups[7:])
    assert_same(lab, whole(again), whole(reference))


@pytest.mark.slow
@pytest.mark.distributed
def test_a_process_killed_in_the_middle(lab, tmp_path):
    """SIGKILL, at a moment that nobody chose, between or within two steps."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    path = tmp_path / "checkpoint.pt"

    def start(target, *, slowly):
        return subprocess.Popen(
            [sys.executable, str(WORKER), "snfs", str(target), "slowly" if slowly else "fast"],
            env=environment,
            stderr=subprocess.PIPE,
        )

    first = start(path, slowly=True)
    deadline = time.monotonic() + 100
    while not path.exists() or torch.load(path, weights_only=True)["step"] < 7:
        assert first.poll() is None, first.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stderr.close()
    assert first.returncode == -signal.SIGKILL
    assert 7 <= torch.load(path, weights_only=True)["step"] < STEPS
    whole_path = tmp_path / "whole.pt"
    for target in (path, whole_path):
        again = start(target, slowly=False)
        _, errors = again.communicate(timeout=100)
        assert again.returncode == 0, errors.decode()
    resumed, wanted = (torch.load(p, weights_only=True) for p in (path, whole_path))
    assert resumed["step"] == wanted["step"] == STEPS
    assert resumed["resumed_at"] >= 7
    assert wanted["resumed_at"] == 0
    for key in ("model", "optimizer", "sparsifier"):
        assert_same(lab, resumed[key], wanted[key], key)

"""The worker, in this very process."""

import sys
from multiprocessing import Pipe
from threading import Thread

import pytest
import torch
from torch import nn

from rarefy.lab.speed import Case, Prepared, Ready, Refused, Runtime, _worker, linear
from rarefy.lab.speed._worker import Worker, serve


def small():
    return linear(6, 4, 3, sparsity=0.5)


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    threads = torch.get_num_threads()
    monkeypatch.setitem(sys.modules, "openvino_telemetry", None)
    yield
    torch.set_num_threads(threads)


def test_a_case_is_counted_and_compared():
    found = Worker("torch", "float32", 1).prepare(Case("x", small))
    assert isinstance(found, Ready)
    assert (found.error, found.flops, found.dense_flops) == (0.0, 2 * 12 * 3, 2 * 24 * 3)
    assert (found.bytes, found.dense_bytes) == (4 * 30, 4 * 30)


def test_a_wrong_runtime_is_seen(monkeypatch):
    wrong = Runtime("wrong", lambda model, x, *_: Prepared(lambda: model(x) * 1.5))
    monkeypatch.setattr(_worker, "runtime_of", lambda _: wrong)
    assert Worker("wrong", "float32", 1).prepare(Case("x", small)).error == pytest.approx(0.5)


def test_whatever_it_raises_is_its_answer_and_it_is_not_timed():
    worker = Worker("scipy", "float32", 1)
    found = worker.prepare(Case("x", lambda: (nn.Conv2d(1, 1, 1).eval(), torch.ones(1, 1, 2, 2))))
    assert isinstance(found, Refused)
    assert found.reason.startswith(("TargetError: scipy runs chains", "MissingExtra"))
    assert worker.burst(0, 0.1) == []


def test_a_burst_is_a_warm_call_and_then_timed_ones(monkeypatch):
    calls = []
    worker = Worker("torch", "float32", 1)
    worker._calls.append(lambda: calls.append(torch.is_inference_mode_enabled()))
    assert len(worker.burst(0, 0.0)) == 1
    assert calls == [True, True]
    monkeypatch.setattr(_worker, "_MOST", 5)
    assert len(worker.burst(0, 10.0)) == 5


def test_it_forgets():
    worker = Worker("torch", "float32", 1)
    worker.prepare(Case("x", small))
    worker.forget()
    assert worker.prepare(Case("x", small)).error == 0.0
    assert len(worker.burst(0, 0.0)) == 1


def test_the_peak_is_prepared_like_a_case(monkeypatch):
    monkeypatch.setattr(_worker, "peak", lambda threads: lambda: 100 * threads)
    found = Worker("peak", "float32", 2).prepare(None)
    assert (found.flops, found.dense_flops) == (200, 200)


def test_it_answers_each_order_until_it_is_to_end():
    ours, theirs = Pipe()
    thread = Thread(target=serve, args=(theirs, "torch", "float32", 1))
    thread.start()
    ours.send(("prepare", Case("x", small)))
    assert ours.recv().error == 0.0
    ours.send(("burst", 0, 0.0))
    assert len(ours.recv()) == 1
    ours.send(("forget",))
    assert ours.recv() is None
    ours.send(("end",))
    thread.join(10)
    assert not thread.is_alive()

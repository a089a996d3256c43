"""Whatever is wrong: one clear error, and model, optimizer and random state as they were."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy import errors

DATA = [(torch.randn(4, 6), torch.randint(3, (4,))) for _ in range(2)]


def bare(weight):
    return weight.sum()


def curvature(weight, hessian_diagonal):
    return weight**2 * hessian_diagonal


AT_ONCE = {
    "sparsity of one": ((1.0,), {}, errors.BudgetError, r"in \[0, 1\); found 1"),
    "negative sparsity": ((-0.1,), {}, errors.BudgetError, r"in \[0, 1\); found -0.1"),
    "a percentage": ((90,), {}, errors.BudgetError, r"Did you mean 0\.9\?"),
    "no number": ((float("nan"),), {}, errors.BudgetError, "found nan"),
    "a truth": ((True,), {}, errors.BudgetError, r"'2:4'; found True"),
    "a word": (("much",), {}, errors.BudgetError, r"'2:4'; found 'much'"),
    "nothing": ((None,), {}, errors.BudgetError, "found None"),
    "a pattern that fixes nothing": (("row",), {}, errors.PatternError, "pattern='row'"),
    "two patterns": (("2:4",), {"pattern": "1:4"}, errors.PatternError, "contradict"),
    "a pattern and another sparsity": (
        (0.9,),
        {"pattern": "2:4"},
        errors.BudgetError,
        r"2:4 fixes the sparsity at 0\.5; found 0\.9",
    ),
    "unknown method": ((0.9, "rigel"), {}, errors.UnknownName, "Did you mean 'rigl'"),
    "unknown score": ((0.9,), {"score": "magnitud"}, errors.UnknownName, "mean 'magnitude'"),
    "unknown allocation": ((0.9,), {"allocation": "erk"}, errors.UnknownName, "It has: .*lamp"),
    "unknown growth": ((0.9,), {"growth": "gradiant"}, errors.UnknownName, "mean 'gradient'"),
    "unknown pattern": ((0.9,), {"pattern": "rows"}, errors.UnknownName, "mean 'row'"),
    "a method that is none": ((0.9, 3.5), {}, errors.UnknownName, "3.5 is no score"),
    "a pattern that is none": ((0.9,), {"pattern": 3}, errors.UnknownName, "pattern=3 is no"),
    "a schedule that is none": ((0.9,), {"when": 100}, errors.ScheduleError, "when=100 is no"),
    "n:m that does not divide": (("2:4",), {}, errors.PatternError, r"0\.weight: 6 inputs.*m=4"),
    "n:m that keeps nothing": (("0:4",), {}, errors.PatternError, "0 < n < m"),
    "a block that does not divide": (
        (0.5,),
        {"pattern": "block 4x1"},
        errors.PatternError,
        r"0\.weight: 10 outputs x 6 inputs.*4x1.*skip=",
    ),
    "a score that needs data": ((0.9, "taylor"), {}, errors.EvidenceError, "pass data="),
    "data that is read once": (
        (0.9, "taylor"),
        {"data": iter(DATA)},
        errors.EvidenceError,
        "read only once",
    ),
    "one batch instead of several": (
        (0.9, "taylor"),
        {"data": DATA[0][0]},
        errors.EvidenceError,
        r"data=\[batch\]",
    ),
    "no batch": ((0.9, "taylor"), {"data": []}, errors.EvidenceError, "holds no batch"),
    "no loss": (
        (0.9, "taylor"),
        {"data": [DATA[0][0]]},
        errors.EvidenceError,
        "Pass loss=lambda model, batch",
    ),
    "a loss that is no number": (
        (0.9, "taylor"),
        {"data": DATA, "loss": lambda m, b: m(b[0])},
        errors.EvidenceError,
        r"found shape \(4, 3\)",
    ),
    "a loss of NaN": (
        (0.9, "taylor"),
        {"data": DATA, "loss": lambda m, b: m(b[0]).sum() * float("nan")},
        errors.ScoreError,
        r"'0\.weight' cannot be ranked",
    ),
    "a score of a kind that nothing collects": (
        (0.9, curvature),
        {},
        errors.EvidenceError,
        "curvature needs hessian_diagonal",
    ),
    "a score of another shape": ((0.9, bare), {}, errors.ScoreError, r"bare\(\) gave 0\.weight"),
    "a score without parameters": ((0.9, torch.abs), {}, errors.EvidenceError, "def mine"),
    "a method that needs an optimizer": ((0.9, "rigl"), {}, errors.AttachError, "optimizer="),
    "a ramp without an optimizer": ((0.9, "gmp"), {"steps": 9}, errors.AttachError, "optimizer="),
    "growth without time": ((0.9,), {"growth": "random"}, errors.ScheduleError, "no time for it"),
    "only nothing": ((0.9,), {"only": "head"}, errors.TargetError, "only='head' finds no weight"),
    "skip nothing": ((0.9,), {"skip": nn.Conv2d}, errors.TargetError, "skip='Conv2d' finds no"),
    "skip everything": ((0.9,), {"skip": nn.Linear}, errors.TargetError, "no weight to sparsify"),
    "minimum below zero": ((0.9,), {"minimum": -1}, errors.BudgetError, "0 or more; found -1"),
    "minimum of a half": ((0.9,), {"minimum": 0.5}, errors.BudgetError, "0 or more; found 0.5"),
    "minimum too large": ((0.9,), {"minimum": 20}, errors.BudgetError, "cannot keep 9 units"),
    "a table that finds nothing": (
        (0.9,),
        {"allocation": {"head": 0.5}},
        errors.TargetError,
        "'head' finds none of the weights",
    ),
    "a table that leaves nothing": (
        (0.9,),
        {"allocation": {"0": 0.1}},
        errors.BudgetError,
        "ask for a sparsity from",
    ),
    "steps of none": ((0.9,), {"steps": 0}, errors.ScheduleError, "1 or more; found 0"),
    "steps of a half": ((0.9,), {"steps": 0.5}, errors.ScheduleError, "1 or more; found 0.5"),
}


@pytest.mark.parametrize(("args", "words", "error", "said"), AT_ONCE.values(), ids=AT_ONCE)
def test_refused_at_once(args, words, error, said, model, optimizer, picture):
    before = picture(model, optimizer)
    with pytest.raises(error, match=said) as refused:
        rarefy.sparsify(model, *args, **words)
    assert isinstance(refused.value, errors.RarefyError)
    assert picture(model, optimizer) == before

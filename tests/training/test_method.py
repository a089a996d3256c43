"""A method as a value, and what a run makes of it."""

from functools import partial

import pytest
import torch

from rarefy import growth, methods, scores
from rarefy.patterns import Block
from rarefy.schedules import Cubic, Every
from rarefy.training import Plan
from rarefy.training._method import title


def far(weight, power=1.0):
    return weight.abs() ** power


class _Weighted:
    def __call__(self, weight):
        return weight.abs()


class _Told(_Weighted):
    def __str__(self):
        return "told"


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (scores.magnitude, "magnitude"),
        (far, "far"),
        (partial(far, power=2.0), "far(power=2.0)"),
        (partial(far, torch.abs), "far(abs)"),
        (_Weighted(), "_Weighted"),
        (_Told(), "told"),
        (0.5, "0.5"),
    ],
)
def test_titles_are_the_same_in_every_process(part, name):
    assert title(part) == name


def test_the_five_words():
    assert methods.set_().words == {
        "score": "magnitude",
        "pattern": "unstructured",
        "allocation": "erdos_renyi",
        "when": "every until 75%",
        "growth": "random",
    }


def test_what_a_plan_needs():
    def needs(method):
        plan = Plan(method=method, sparsity=0.5)
        return plan.replaces_step, plan.needs_gradient, plan.needs_average

    assert needs(methods.static()) == (False, False, False)
    assert needs(methods.set_()) == (False, False, False)
    assert needs(methods.rigl()) == (True, True, False)
    assert needs(methods.snfs()) == (False, False, True)
    assert needs(methods.gmp(score=scores.taylor)) == (False, True, False)


def test_due_lands_on_the_end_of_a_ramp():
    plan = Plan(
        method=methods.gmp(),
        sparsity=0.5,
        trigger=Every(steps=5, start=2, until=19),
        ramp=Cubic(final=0.5, start=2, end=19),
    )
    assert [step for step in range(30) if plan.due(step)] == [7, 12, 17, 19]
    assert not Plan(method=methods.static(), sparsity=0.5).due(0)


def test_fingerprints_tell_plans_apart():
    plan = Plan(method=methods.rigl(), sparsity=0.5, trigger=Every(steps=5, until=20))
    others = [
        Plan(method=methods.set_(), sparsity=0.5, trigger=Every(steps=5, until=20)),
        Plan(method=methods.rigl(), sparsity=0.6, trigger=Every(steps=5, until=20)),
        Plan(method=methods.rigl(), sparsity=0.5, trigger=Every(steps=4, until=20)),
        Plan(method=methods.rigl(), sparsity=0.5, trigger=Every(steps=5, until=20), minimum=0),
        Plan(
            method=methods.rigl(pattern=Block(2, 2)),
            sparsity=0.5,
            trigger=Every(steps=5, until=20),
        ),
        Plan(
            method=methods.rigl(growth=growth.Gradient(share=0.2)),
            sparsity=0.5,
            trigger=Every(steps=5, until=20),
        ),
    ]
    for other in others:
        assert other.fingerprint() != plan.fingerprint()
    same = Plan(method=methods.rigl(), sparsity=0.5, trigger=Every(steps=5, until=20), seed=9)
    assert same.fingerprint() == plan.fingerprint()
    assert all(isinstance(value, str) for value in plan.fingerprint().values())

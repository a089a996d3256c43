"""What cannot be trained is refused before training: methods, schedules, optimizers, attachment."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy import errors
from rarefy.growth import Gradient
from rarefy.schedules import Cubic, Every, Linear
from rarefy.training import sparsifier_of


def curvature(weight, hessian_diagonal):
    return weight**2 * hessian_diagonal


WHILE_TRAINING = {
    "no steps": ((), {}, errors.ScheduleError, r"give steps=.*epochs \* len"),
    "not one exchange fits": (("rigl",), {"steps": 5}, errors.ScheduleError, "never comes due"),
    "not one ramp step fits": (("gmp",), {"steps": 3}, errors.ScheduleError, "never comes due"),
    "words of no trigger": (
        ("rigl",),
        {"steps": 50, "when": "often"},
        errors.ScheduleError,
        "every 100",
    ),
    "a trigger beyond the end": (
        ("rigl",),
        {"steps": 50, "when": "every 5 until 60"},
        errors.ScheduleError,
        "beyond the 50 steps",
    ),
    "a trigger that never comes": (
        ("rigl",),
        {"steps": 50, "when": Every(steps=100, until=200)},
        errors.ScheduleError,
        "never comes due in 50 steps",
    ),
    "a ramp that never ends": (
        ("gmp",),
        {"steps": 50, "when": Every(steps=10, until=100)},
        errors.ScheduleError,
        "beyond the 50 steps",
    ),
    "a ramp of its own that never ends": (
        ("gmp",),
        {"steps": 50, "when": Cubic(final=0.9, end=60)},
        errors.ScheduleError,
        "beyond the 50 steps",
    ),
    "a ramp to somewhere else": (
        ("gmp",),
        {"steps": 50, "when": Cubic(final=0.8, end=40)},
        errors.BudgetError,
        r"ends at a sparsity of 0\.8, but 0\.9",
    ),
    "a ramp that falls": (
        ("gmp",),
        {"steps": 50, "when": Linear(initial=0.95, final=0.9, end=40)},
        errors.BudgetError,
        "only removes",
    ),
    "a ramp for what starts sparse": (
        ("rigl",),
        {"steps": 50, "when": Cubic(final=0.9, end=40)},
        errors.ScheduleError,
        "method='gmp'",
    ),
    "pruning again and again": (
        ("one_shot",),
        {"steps": 50, "when": "every 10"},
        errors.ScheduleError,
        "prunes once and grows nothing",
    ),
    "a ramp of a pattern": (
        ("gmp",),
        {"steps": 50, "pattern": "row", "growth": "momentum", "when": "once"},
        errors.ScheduleError,
        "no time for it",
    ),
    "weights that move between layers as rows": (
        ("snfs",),
        {"steps": 50, "pattern": "row"},
        errors.PatternError,
        "growth='momentum'",
    ),
    "growth of a kind that nothing collects": (
        ("rigl",),
        {"steps": 50, "growth": curvature},
        errors.EvidenceError,
        "curvature needs hessian_diagonal",
    ),
    "a block that will not divide": (
        ("gmp",),
        {"steps": 50, "pattern": "block 4x1"},
        errors.PatternError,
        r"0\.weight: 10 outputs",
    ),
    "a table that will find nothing": (
        ("gmp",),
        {"steps": 50, "allocation": {"head": 0.5}},
        errors.TargetError,
        "'head' finds none",
    ),
    "a minimum that will not fit": (
        ("gmp",),
        {"steps": 50, "minimum": 9},
        errors.BudgetError,
        "cannot keep 9 units",
    ),
}


@pytest.mark.parametrize(
    ("method", "words", "error", "said"), WHILE_TRAINING.values(), ids=WHILE_TRAINING
)
def test_refused_before_training(method, words, error, said, model, optimizer, picture):
    before = picture(model, optimizer)
    with pytest.raises(error, match=said) as refused:
        rarefy.sparsify(model, 0.9, *method, optimizer=optimizer, **words)
    assert isinstance(refused.value, errors.RarefyError)
    assert picture(model, optimizer) == before


def test_n_of_m_along_a_ramp_is_refused(picture):
    model = nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters())
    before = picture(model, optimizer)
    with pytest.raises(errors.PatternError, match="method='one_shot', then train"):
        rarefy.sparsify(model, "2:4", "gmp", optimizer=optimizer, steps=50)
    assert picture(model, optimizer) == before


def stranger(model):
    del model
    return torch.optim.SGD(nn.Linear(6, 10).parameters())


def half(model):
    return torch.optim.SGD(model[0].parameters())


def rigl(model, optimizer):
    return rarefy.sparsify(model, 0.9, "rigl", optimizer=optimizer, steps=100)


OPTIMIZERS = {
    "a word": (lambda _: "adam", r"takes a torch\.optim\.Optimizer.*found str"),
    "another model's": (stranger, "holds none of the model's sparse weights"),
    "one of half the model": (half, r"no optimizer given holds 4\.weight"),
    "none in a list": (lambda _: [], "holds no optimizer"),
}


@pytest.mark.parametrize(("make", "said"), OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("verb", [rigl, rarefy.hold])
def test_an_optimizer_that_does_not_fit(make, said, verb, model, picture):
    optimizer = make(model)
    before = picture(model)
    with pytest.raises(errors.AttachError, match=said):
        verb(model, optimizer=optimizer)
    assert picture(model) == before


def attach(model, optimizer):
    sparsifier_of(model).attach(optimizer)


@pytest.mark.parametrize("verb", [rigl, rarefy.hold, attach])
def test_a_second_attachment(verb, model, optimizer, picture):
    sparsifier = rarefy.sparsify(model, 0.5, "static", optimizer=optimizer)
    before = picture(model, optimizer)
    with pytest.raises(errors.AttachError, match=r"drives this model already|is attached already"):
        verb(model, optimizer=optimizer)
    assert picture(model, optimizer) == before
    assert sparsifier_of(model) is sparsifier


def test_pruning_less_than_is_gone(model, picture):
    sparsifier = rarefy.sparsify(model, 0.9)
    before = picture(model)
    with pytest.raises(errors.BudgetError, match="only removes"):
        sparsifier.prune(0.5)
    assert picture(model) == before


def test_pruning_a_pattern_that_fixes_the_sparsity(picture):
    model = nn.Linear(8, 4)
    sparsifier = rarefy.sparsify(model, "2:4")
    before = picture(model)
    with pytest.raises(errors.RarefyError, match=r"2:4 fixes the sparsity at 0\.5"):
        sparsifier.prune(0.9)
    assert picture(model) == before


def test_growth_that_exchanges_everything():
    with pytest.raises(errors.BudgetError, match=r"found share=1\.0"):
        Gradient(share=1.0)

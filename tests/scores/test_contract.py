"""What every score promises. A new score is tested by being exported; nothing is listed here."""

import inspect

import pytest
import torch

from rarefy import scores
from rarefy.selection import wants

SHAPE = (2, 3, 4, 5)
KNOWN = {"weight", "gradient"}
"""What is collected today; a new kind is one name here and one collector."""

every_score = pytest.mark.parametrize("score", [getattr(scores, name) for name in scores.__all__])


def evidence_for(score, dtype=torch.float32):
    numbers = torch.Generator().manual_seed(0)
    return {kind: torch.randn(SHAPE, generator=numbers).to(dtype) for kind in wants(score)}


def call(score, evidence, seed=0):
    if "generator" in inspect.signature(score).parameters:
        return score(**evidence, generator=torch.Generator().manual_seed(seed))
    return score(**evidence)


def test_the_room_is_sorted():
    assert scores.__all__ == sorted(scores.__all__)


@every_score
def test_asks_only_for_known_evidence(score):
    assert set(inspect.signature(score).parameters) <= KNOWN | {"generator"}


@every_score
def test_gives_one_score_per_weight(score):
    assert call(score, evidence_for(score)).shape == SHAPE


@every_score
def test_leaves_its_evidence_alone(score):
    evidence = evidence_for(score)
    before = {kind: tensor.clone() for kind, tensor in evidence.items()}
    call(score, evidence).add_(1)
    assert all(torch.equal(evidence[kind], before[kind]) for kind in evidence)


@every_score
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_keeps_the_dtype_or_draws_in_float32(score, dtype):
    wanted = dtype if "generator" not in inspect.signature(score).parameters else torch.float32
    assert call(score, evidence_for(score, dtype)).dtype is wanted


@every_score
def test_the_same_evidence_gives_the_same_scores(score):
    assert torch.equal(call(score, evidence_for(score)), call(score, evidence_for(score)))


@every_score
def test_touches_no_global_random_state(score):
    before = torch.get_rng_state()
    call(score, evidence_for(score))
    assert torch.equal(torch.get_rng_state(), before)


@every_score
def test_takes_views_that_are_not_contiguous(score):
    evidence = {kind: each.transpose(1, 2) for kind, each in evidence_for(score).items()}
    dense = {kind: each.contiguous() for kind, each in evidence.items()}
    assert torch.equal(call(score, evidence), call(score, dense))


@every_score
def test_is_finite_and_not_negative(score):
    scored = call(score, evidence_for(score))
    assert scored.isfinite().all()
    assert (scored >= 0).all()


@every_score
def test_says_what_it_computes_in_its_first_line(score):
    assert score.__doc__
    assert "\n" not in score.__doc__.split("\n\n")[0]

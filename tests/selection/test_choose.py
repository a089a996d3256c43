"""From evidence to masks, by hand and against a slow twin."""

import pytest
import torch

from rarefy import allocation, scores
from rarefy.errors import BudgetError, EvidenceError, PatternError, ScoreError
from rarefy.patterns import Block, NofM, Row, Unstructured
from rarefy.selection import choose, count_of, generator_for, score_of, wants

WEIGHTS = {
    "a": torch.tensor([[4.0, -9.0], [1.0, 0.0]]).reshape(1, 2, 2, 1),
    "b": torch.tensor([[-5.0, 2.0, 3.0]]).reshape(1, 1, 3, 1),
}


def chosen(evidence=None, **changed):
    evidence = evidence or {"weight": WEIGHTS}
    words = {
        "shapes": {n: tuple(w.shape[1:3]) for n, w in evidence["weight"].items()},
        "sparsity": 4 / 7,
        "score": scores.magnitude,
        "pattern": Unstructured(),
        "allocation": allocation.global_,
    }
    return choose(evidence, **(words | changed))


def flat(masks):
    return {name: mask.flatten().int().tolist() for name, mask in masks.items()}


def test_the_three_largest_of_all_are_kept():
    assert flat(chosen()) == {"a": [1, 1, 0, 0], "b": [1, 0, 0]}


def test_uniform_keeps_the_best_of_each():
    # 3 of 7: quotas 12/7 and 9/7
    assert flat(chosen(allocation=allocation.uniform)) == {"a": [1, 1, 0, 0], "b": [1, 0, 0]}


def test_another_score_keeps_others():
    gradient = {"a": torch.ones(1, 2, 2, 1), "b": torch.full((1, 1, 3, 1), 10.0)}
    masks = chosen({"weight": WEIGHTS, "gradient": gradient}, score=scores.taylor)
    # |w g| is 4, 9, 1, 0 and 50, 20, 30; a keeps its minimum
    assert flat(masks) == {"a": [0, 1, 0, 0], "b": [1, 0, 1]}


def test_rows_are_kept_whole():
    assert flat(chosen(pattern=Row(), sparsity=1 / 3)) == {"a": [1, 1, 0, 0], "b": [1, 1, 1]}


def test_only_what_lives_may_be_kept():
    among = {"a": torch.tensor([1, 0, 1, 1]).bool(), "b": torch.tensor([0, 1, 1]).bool()}
    among = {name: mask.reshape(WEIGHTS[name].shape) for name, mask in among.items()}
    assert flat(chosen(among=among)) == {"a": [1, 0, 0, 0], "b": [0, 1, 1]}


def test_what_is_gone_is_not_kept_even_among_zeros():
    weights = {n: torch.zeros_like(w) for n, w in WEIGHTS.items()}
    among = {"a": torch.tensor([0, 0, 0, 1]).bool(), "b": torch.tensor([0, 1, 1]).bool()}
    among = {name: mask.reshape(WEIGHTS[name].shape) for name, mask in among.items()}
    masks = chosen({"weight": weights}, among=among)
    assert flat(masks) == {"a": [0, 0, 0, 1], "b": [0, 1, 1]}


def test_the_order_of_the_weights_changes_no_mask():
    torch.manual_seed(0)
    weights = {f"{n}": torch.randn(1, n, n * n - 9, 1) for n in (4, 5, 7)}  # no two alike
    turned = {name: weights[name] for name in reversed(weights)}
    for part in (allocation.global_, allocation.lamp, allocation.uniform, allocation.erdos_renyi):
        one = chosen({"weight": weights}, allocation=part)
        other = chosen({"weight": turned}, allocation=part)
        assert all(torch.equal(one[name], other[name]) for name in weights)


def test_a_permutation_of_neurons_permutes_the_masks():
    torch.manual_seed(0)
    first, second, order = torch.randn(1, 6, 4, 1), torch.randn(1, 3, 6, 1), torch.randperm(6)
    plain = chosen({"weight": {"0": first, "1": second}})
    turned = chosen({"weight": {"0": first[:, order], "1": second[:, :, order]}})
    assert torch.equal(turned["0"], plain["0"][:, order])
    assert torch.equal(turned["1"], plain["1"][:, :, order])


def test_a_pattern_that_fixes_the_sparsity_asks_no_allocation():
    def never(_units, _count, _minimum=1):
        raise AssertionError("2:4 leaves nothing to allocate")

    masks = chosen(
        {"weight": {"a": torch.randn(2, 3, 8, 5)}},
        pattern=NofM(2, 4),
        sparsity=None,
        allocation=never,
    )
    assert torch.equal(masks["a"].view(2, 3, 2, 4, 5).sum(3), torch.full((2, 3, 2, 5), 2))


def test_the_same_seed_and_step_draw_the_same_mask():
    weights = {"weight": {"a": torch.zeros(1, 8, 8, 1)}}
    one = chosen(weights, score=scores.random, seed=3, step=5)["a"]
    assert torch.equal(one, chosen(weights, score=scores.random, seed=3, step=5)["a"])
    assert not torch.equal(one, chosen(weights, score=scores.random, seed=4, step=5)["a"])
    assert not torch.equal(one, chosen(weights, score=scores.random, seed=3, step=6)["a"])


def test_two_weights_of_one_shape_are_drawn_apart():
    weights = {"weight": {n: torch.zeros(1, 8, 8, 1) for n in "ab"}}
    masks = chosen(weights, score=scores.random, allocation=allocation.uniform)
    assert not torch.equal(masks["a"], masks["b"])


def test_missing_evidence_is_named_with_the_way_out():
    with pytest.raises(
        EvidenceError, match=r"taylor needs weight, gradient; not there: gradient.*data="
    ):
        chosen(score=scores.taylor)


def test_scores_of_another_shape_are_refused_by_name():
    with pytest.raises(ScoreError, match=r"<lambda>\(\) gave a scores of shape \(1, 2\); wanted"):
        chosen(score=lambda weight: weight.sum((1, 3)))


def test_scores_that_are_no_tensor_are_refused():
    def three(weight):
        return float(weight.numel() * 0 + 3)

    with pytest.raises(ScoreError, match=r"gave a scores of 3\.0; wanted one for each"):
        chosen(score=three)


def test_a_nan_score_names_its_weight():
    weights = WEIGHTS | {"b": torch.full((1, 1, 3, 1), float("nan"))}
    for part in (allocation.global_, allocation.uniform):
        with pytest.raises(ScoreError, match="'b'"):
            chosen({"weight": weights}, allocation=part)


def test_a_pattern_that_does_not_fit_names_the_weight():
    with pytest.raises(PatternError, match="b: 1 outputs x 3 inputs do not split into 2x1"):
        chosen(pattern=Block(2, 1))


@pytest.mark.parametrize("shift", [-1, 1])
def test_an_allocation_that_counts_wrong_is_refused_by_name(shift):
    def careless(units, count, minimum=1):
        return allocation.uniform(units, count + shift, minimum)

    with pytest.raises(BudgetError, match=f"careless gave {3 + shift} units.*wanted 3 for 2"):
        chosen(allocation=careless)


def test_no_sparsity_without_a_pattern_that_fixes_it():
    with pytest.raises(BudgetError, match="the pattern row fixes no sparsity"):
        chosen(pattern=Row(), sparsity=None)


def test_a_sparsity_beside_a_pattern_that_fixes_it():
    with pytest.raises(BudgetError, match=r"2:4 fixes the sparsity at 0\.5, so 0\.9"):
        chosen({"weight": {"a": torch.ones(1, 1, 4, 1)}}, pattern=NofM(2, 4), sparsity=0.9)


def test_count_of_is_the_one_of_the_whole_library():
    assert count_of(0.9, 1_000) == 100


def test_a_score_may_have_arguments_of_its_own():
    def powered(weight, power=2.0):
        return weight.abs() ** power

    assert wants(powered) == ("weight",)
    assert flat(chosen(score=powered)) == flat(chosen())


def test_evidence_with_a_default_is_given_where_it_is_there():
    def eager(weight, gradient=None):
        return weight.abs() if gradient is None else gradient.abs()

    gradient = {name: -w.abs() + 10 for name, w in WEIGHTS.items()}
    assert flat(chosen(score=eager)) == flat(chosen())
    found = chosen({"weight": WEIGHTS, "gradient": gradient}, score=eager)
    assert flat(found) == {"a": [0, 0, 1, 1], "b": [0, 1, 0]}


def test_what_does_not_say_its_parameters_is_refused_with_the_line_to_write():
    with pytest.raises(EvidenceError, match="def mine"):
        wants(torch.abs)


def test_a_generator_is_no_evidence():
    assert wants(scores.random) == ("weight",)
    given = {"weight": {"a": torch.zeros(1, 2, 2, 1)}}
    drawn = score_of("a", given, scores.random, lambda: generator_for(1, 2, "a", "score"))
    again = torch.rand(1, 2, 2, 1, generator=generator_for(1, 2, "a", "score"))
    assert torch.equal(drawn, again)


@pytest.mark.parametrize(
    "other", [(2, 2, "a", "x"), (1, 3, "a", "x"), (1, 2, "b", "x"), (1, 2, "a", "y")]
)
def test_a_generator_follows_from_all_its_arguments(other):
    one = torch.rand(8, generator=generator_for(1, 2, "a", "x"))
    assert torch.equal(one, torch.rand(8, generator=generator_for(1, 2, "a", "x")))
    assert not torch.equal(one, torch.rand(8, generator=generator_for(*other)))

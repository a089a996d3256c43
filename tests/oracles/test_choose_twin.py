"""The arrow in plain Python: score, unit, count, choose, with lists and sorted()."""

from fractions import Fraction

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rarefy import allocation, scores
from rarefy.patterns import parse
from rarefy.selection import choose


def units_of(matrix, words):
    """Unit number of every element, in flat order, and how many units there are."""
    groups, outputs, inputs, kernel = matrix.shape
    rows, columns = {"row": (1, inputs), "column": (outputs, 1), "unstructured": (1, 1)}.get(
        words
    ) or tuple(int(side) for side in words.removeprefix("block ").split("x"))
    whole_kernel = words in ("row", "column")
    numbers = {}
    belongs = []
    for g in range(groups):
        for o in range(outputs):
            for i in range(inputs):
                for k in range(kernel):
                    place = (g, o // rows, i // columns, 0 if whole_kernel else k)
                    belongs.append(place)
                    numbers.setdefault(place, None)
    order = {place: number for number, place in enumerate(sorted(numbers))}
    return [order[place] for place in belongs], len(order)


def unit_scores(matrix, words):
    belongs, size = units_of(matrix, words)
    members = [[] for _ in range(size)]
    for unit, score in zip(belongs, matrix.abs().flatten().tolist(), strict=True):
        members[unit].append(Fraction(score))
    return belongs, [sum(each) / len(each) for each in members]


def slow_global(scored, count, minimum):
    """Best of all first, ties to the earlier; then lift whoever is short, worst winner pays."""
    ranked = sorted(
        (
            (-score, place, unit)
            for place, units in enumerate(scored)
            for unit, score in enumerate(units)
        )
    )
    fixed = {}
    while True:
        rest = count - sum(fixed.values())
        kept = dict.fromkeys((p for p in range(len(scored)) if p not in fixed), 0)
        for _, place, _ in [each for each in ranked if each[1] not in fixed][:rest]:
            kept[place] += 1
        short = {
            p: min(minimum, len(scored[p])) for p in kept if kept[p] < min(minimum, len(scored[p]))
        }
        if not short:
            return {**kept, **fixed}
        fixed |= short


def slow_uniform(scored, count, minimum):
    """Largest remainders, one unit at a time; whoever is below the minimum is lifted first."""
    fixed = {}
    while True:
        rest = count - sum(fixed.values())
        open_ = [p for p in range(len(scored)) if p not in fixed]
        whole = sum(len(scored[p]) for p in open_)
        quotas = {p: Fraction(rest * len(scored[p]), whole) for p in open_}
        low = [p for p in open_ if quotas[p] < min(minimum, len(scored[p]))]
        if not low:
            break
        fixed |= {p: min(minimum, len(scored[p])) for p in low}
    kept = {p: int(quota) for p, quota in quotas.items()}
    for place in sorted(open_, key=lambda p: (kept[p] - quotas[p], p)):
        if sum(kept.values()) + sum(fixed.values()) < count:
            kept[place] += 1
    return {**kept, **fixed}


def slow_masks(weights, words, spread, count, minimum):
    scored = [unit_scores(weight, words) for weight in weights]
    kept = spread([each for _, each in scored], count, minimum)
    masks = []
    for place, (belongs, units) in enumerate(scored):
        best = sorted(range(len(units)), key=lambda unit: (-units[unit], unit))[: kept[place]]
        mask = [unit in set(best) for unit in belongs]
        masks.append(torch.tensor(mask).reshape(weights[place].shape))
    return masks


shapes = st.tuples(
    st.sampled_from([1, 2]), st.sampled_from([2, 4]), st.sampled_from([2, 4, 6]), st.integers(1, 3)
)


@settings(deadline=None, max_examples=80)
@given(
    shapes=st.lists(shapes, min_size=1, max_size=3),
    words=st.sampled_from(["unstructured", "row", "column", "block 2x2", "block 1x2"]),
    spread=st.sampled_from(["global", "uniform"]),
    values=st.sampled_from([1, 2, 1000]),
    minimum=st.integers(0, 2),
    data=st.data(),
)
def test_masks_are_those_of_the_twin_ties_included(shapes, words, spread, values, minimum, data):
    numbers = torch.Generator().manual_seed(len(shapes) + values)
    # quarters, so that every mean is exact in float64 where a unit has few elements
    weights = [
        torch.randint(-values, values + 1, shape, generator=numbers).double() / 4
        for shape in shapes
    ]
    pattern = parse(words)
    sizes = [pattern.size(shape) for shape in shapes]
    least = sum(min(minimum, size) for size in sizes)
    count = data.draw(st.integers(max(least, 1), sum(sizes)))
    masks = choose(
        {"weight": {str(place): weight for place, weight in enumerate(weights)}},
        shapes={str(place): shape[1:] for place, shape in enumerate(shapes)},
        sparsity=1 - count / sum(sizes),
        score=scores.magnitude,
        pattern=pattern,
        allocation={"global": allocation.global_, "uniform": allocation.uniform}[spread],
        minimum=minimum,
    )
    twin = {"global": slow_global, "uniform": slow_uniform}[spread]
    wanted = slow_masks(weights, words, twin, count, minimum)
    assert all(torch.equal(masks[str(p)], mask) for p, mask in enumerate(wanted))

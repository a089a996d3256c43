"""Growth next to what lives, on two grids."""

import pytest
import torch

import rarefy
from rarefy.errors import PatternError
from rarefy.growth import Grids, Neighbours


def points(grid, wrap):
    """Every point of a grid with the points next to it, by plain loops."""
    lines, columns = grid
    near = {}
    for a in range(lines):
        for b in range(columns):
            found = set()
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    c, d = a + down, b + right
                    if wrap[0]:
                        c %= lines
                    if wrap[1]:
                        d %= columns
                    if 0 <= c < lines and 0 <= d < columns:
                        found.add(c * columns + d)
            near[a * columns + b] = found - {a * columns + b}
    return near


def by_loops(living, grids):
    outputs, inputs = points(grids.outputs, grids.wrap), points(grids.inputs, grids.wrap)
    counts = torch.zeros(living.shape, dtype=torch.uint8)
    groups, rows, columns, kernel = living.shape
    for g in range(groups):
        for o in range(rows):
            for i in range(columns):
                for k in range(kernel):
                    near = sum(int(living[g, n, i, k]) for n in outputs[o])
                    counts[g, o, i, k] = near + sum(int(living[g, o, n, k]) for n in inputs[i])
    return counts


@pytest.mark.parametrize("wrap", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("outputs", [(4, 3), (1, 12), (12, 1), (2, 6), (6, 2)])
@pytest.mark.parametrize(("groups", "kernel"), [(1, 1), (2, 3)])
def test_the_count_is_that_of_plain_loops(outputs, wrap, groups, kernel):
    torch.manual_seed(0)
    living = torch.rand(groups, 12, 10, kernel) < 0.3
    grids = Grids(outputs, (2, 5), wrap)
    scores = grids(living, torch.Generator().manual_seed(1))
    assert torch.equal(scores.floor().to(torch.uint8), by_loops(living, grids))


def test_ties_are_drawn_and_never_lift_a_connection_above_a_closer_one():
    living = torch.ones(1, 36, 36, 1, dtype=torch.bool)
    scores = Grids((6, 6), (6, 6), (True, True))(living, torch.Generator().manual_seed(0))
    assert scores.dtype is torch.float64
    assert (scores.floor() == 16).all()
    assert scores.unique().numel() > 1_000


def test_where_nothing_is_near_it_is_chance():
    living = torch.zeros(1, 6, 6, 1, dtype=torch.bool)
    scores = Grids((2, 3), (2, 3))(living, torch.Generator().manual_seed(5))
    drawn = torch.rand(living.shape, generator=torch.Generator().manual_seed(5))
    assert torch.equal(scores, drawn.double())


def test_without_grids_it_is_refused_by_name():
    with pytest.raises(PatternError, match=r"growth 'neighbours' needs .*outputs=\(72, 144\)"):
        Neighbours()
    model = torch.nn.Sequential(torch.nn.Linear(6, 6))
    with pytest.raises(PatternError, match="growth 'neighbours' needs"):
        rarefy.sparsify(model, 0.5, "set", growth="neighbours")


@pytest.mark.parametrize("odd", [(2, 3, 4), (6,), 6, (2.0, 3), (True, 6), (0, 6), "23"])
def test_what_is_no_grid_is_refused(odd):
    with pytest.raises(PatternError, match="lines and columns"):
        Neighbours(outputs=odd, inputs=(2, 3))


@pytest.mark.parametrize("odd", [True, (True,), (0, 1), None])
def test_what_does_not_say_which_axes_go_round_is_refused(odd):
    with pytest.raises(PatternError, match="wrap says of each of the two axes"):
        Neighbours(outputs=(2, 3), inputs=(2, 3), wrap=odd)


@pytest.mark.parametrize("storage", ["masked", "compressed"])
def test_a_weight_that_the_grids_do_not_make_is_named(storage):
    model = torch.nn.Sequential(torch.nn.Linear(6, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rule = Neighbours(outputs=(2, 3), inputs=(2, 3))
    before = model[0].weight.clone()
    with pytest.raises(PatternError, match=r"0\.weight has 8 outputs"):
        rarefy.sparsify(
            model, 0.5, "set", optimizer=optimizer, steps=50, growth=rule, storage=storage
        )
    assert torch.equal(model[0].weight, before)


def test_newcomers_are_next_to_what_survived():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(36, 36))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    rule = Neighbours(outputs=(6, 6), inputs=(6, 6), wrap=(False, True))
    sparsifier = rarefy.sparsify(
        model, 0.95, "set", optimizer=optimizer, steps=40, when="every 5", growth=rule, seed=1
    )
    before = sparsifier.masks["0.weight"]
    for _ in range(5):
        model(torch.randn(4, 36)).sum().backward()
        optimizer.step()
    after = sparsifier.masks["0.weight"]
    survivors, arrivals = before & after, after & ~before
    near = by_loops(survivors.view(1, 36, 36, 1), rule.arrivals).view(36, 36)
    assert arrivals.any()
    assert near[arrivals].min() >= near[~after].max()

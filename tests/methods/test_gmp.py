"""GMP: the cubic ramp, nested masks, and the end it lands on."""

from itertools import pairwise

import pytest
import torch
from torch import nn

import rarefy

STEPS = 40


def run(**words):
    """Masks after each step of 40: the ramp goes from 10 to 30, a choice every 5."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(model, 0.8, optimizer=optimizer, steps=STEPS, **words)
    masks = [{name: sparsifier.masks[name] for name in sparsifier.masks}]
    inputs, target = torch.randn(32, 20), torch.randint(10, (32,))
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), target).backward()
        optimizer.step()
        masks.append({name: sparsifier.masks[name] for name in sparsifier.masks})
    return sparsifier, masks


def test_it_is_what_an_optimizer_alone_means():
    assert run()[0].method == "gmp"


def test_the_sparsity_follows_zhu_and_gupta():
    _, masks = run()
    kept = [sum(int(mask.sum()) for mask in each.values()) for each in masks]
    # 0.8 times 0, .578125, .875, .984375, 1 at the quarters of the ramp, of 300 weights
    wanted = {10: 300, 15: 300 - 139, 20: 300 - 210, 25: 300 - 236, 30: 60, 40: 60}
    assert {step: kept[step] for step in wanted} == wanted


def test_masks_are_nested():
    _, masks = run()
    for before, after in pairwise(masks):
        assert all(not (after[name] & ~before[name]).any() for name in after)


def test_the_same_share_of_each_layer_goes():
    _, masks = run()
    assert [int(mask.sum()) for mask in masks[-1].values()] == [40, 20]


def test_the_smallest_of_the_living_go():
    torch.manual_seed(0)
    model = nn.Linear(10, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    weight = model.weight.detach().clone()
    sparsifier = rarefy.sparsify(model, 0.8, optimizer=optimizer, steps=STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        model(torch.ones(1, 10)).sum().backward()
        optimizer.step()
    wanted = weight.abs() >= weight.abs().flatten().topk(20).values.min()
    assert torch.equal(sparsifier.masks["weight"], wanted)


@pytest.mark.parametrize("pattern", ["row", "column", "block 2x2"])
def test_units_go_whole(pattern):
    sparsifier, masks = run(pattern=pattern)
    assert sparsifier.masks.kept == 60
    for before, after in pairwise(masks):
        assert all(not (after[name] & ~before[name]).any() for name in after)


def test_a_table_of_sparsities_holds_at_the_end_and_not_before():
    sparsifier, masks = run(allocation={"2": 0.5})
    assert [int(mask.sum()) for mask in masks[-1].values()] == [10, 50]
    # half way up: 7/8 of the way
    assert int(masks[20]["2.weight"].sum()) == 56
    assert sparsifier.masks.kept == 60


def test_growth_on_the_way_keeps_the_counts():
    """Pruning and regrowth together, as GraNet; with no share it is GMP itself."""
    from rarefy.growth import Gradient

    plain, grown, idle = (
        run(**words)
        for words in (
            {},
            {"growth": Gradient(share=0.8, decay="constant")},
            {"growth": Gradient(share=0.0)},
        )
    )
    counts = [[int(m.sum()) for m in each.values()] for each in plain[1]]
    assert [int(m.sum()) for m in grown[1][-1].values()] == counts[-1]
    assert [int(m.sum()) for m in idle[1][-1].values()] == counts[-1]
    back = any(
        (after[name] & ~before[name]).any()
        for before, after in pairwise(grown[1])
        for name in after
    )
    assert back

"""SNFS: momentum of dense gradients ranks newcomers and moves weights between layers."""

import torch
from torch import nn

import rarefy
from rarefy.growth import Momentum
from rarefy.schedules import Every


def run(worth, dead=(0.0, 0.0), share=0.5, count=1, rows=4):
    """Two layers of rows x 10; gradients are ``worth`` at the living places."""
    torch.manual_seed(0)
    model = nn.ModuleList([nn.Linear(10, rows, bias=False), nn.Linear(10, rows, bias=False)])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    sparsifier = rarefy.sparsify(
        model,
        0.8,
        "snfs",
        optimizer=optimizer,
        growth=Momentum(share=share, decay="constant", redistributes=True),
        when=Every(steps=1, until=count),
        seed=0,
    )
    masks = [sparsifier.masks[f"{place}.weight"] for place in (0, 1)]
    for _ in range(count):
        optimizer.zero_grad()
        loss = sum(
            (layer.weight * torch.where(mask, living, gone)).sum()
            for layer, mask, living, gone in zip(model, masks, worth, dead, strict=True)
        )
        loss.backward()
        optimizer.step()
    return masks, [sparsifier.masks[f"{place}.weight"] for place in (0, 1)], sparsifier


def test_eight_removed_return_six_and_two_where_momenta_are_three_to_one():
    before, after, _ = run(worth=(3.0, 1.0))
    assert [int(mask.sum()) for mask in before] == [8, 8]
    # four of each go, eight return
    assert [int(mask.sum()) for mask in after] == [4 + 6, 4 + 2]


def test_equal_momenta_move_nothing_between_layers():
    _, after, _ = run(worth=(2.0, -2.0))
    assert [int(mask.sum()) for mask in after] == [8, 8]


def test_they_return_where_the_momentum_is_largest():
    before, after, _ = run(worth=(1.0, 1.0), dead=(5.0, 0.1))
    # in the first layer any dead place beats the four that went; in the second none does
    assert int((after[0] & ~before[0]).sum()) == 4
    assert torch.equal(after[1], before[1])


def test_the_whole_count_never_changes():
    _, after, sparsifier = run(worth=(5.0, 1.0), count=9)
    assert sum(int(mask.sum()) for mask in after) == 16
    assert sparsifier.masks.kept == 16


def test_the_optimizer_takes_its_step_at_an_exchange():
    model = nn.Linear(10, 4, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    sparsifier = rarefy.sparsify(
        model, 0.8, "snfs", optimizer=optimizer, when=Every(steps=1, until=1), seed=0
    )
    before, mask = model.weight.detach().clone(), sparsifier.masks["weight"]
    model.weight.sum().backward()
    optimizer.step()
    stayed = mask & sparsifier.masks["weight"]
    assert stayed.any()
    torch.testing.assert_close(model.weight[stayed].detach(), before[stayed] - 1)
    assert sparsifier.step == 1
    sparsifier.check()


def test_its_defaults_are_the_published_ones():
    growth = rarefy.methods.snfs().growth
    assert (growth.share, growth.decay, growth.final, growth.beta) == (0.5, "cosine", 0.005, 0.9)
    assert rarefy.methods.snfs().words["allocation"] == "uniform"

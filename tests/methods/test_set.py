"""SET: a share of each sign goes, as many return anywhere, drawn as the weight was at first."""

from itertools import pairwise

import pytest
import torch
from torch import nn

import rarefy
from rarefy.growth import Random, smallest_of_each_sign
from rarefy.schedules import Every


def run(steps=1, **words):
    """30 x 40 weights, half of them kept, one exchange a step; the weights do not train."""
    torch.manual_seed(0)
    model = nn.Linear(40, 30, bias=False)
    dense = model.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    sparsifier = rarefy.sparsify(
        model, 0.5, "set", optimizer=optimizer, when=Every(steps=1, until=steps), seed=5, **words
    )
    before = model.weight.detach().clone()
    masks = [sparsifier.masks["weight"]]
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(2, 40)).sum().backward()
        optimizer.step()
        masks.append(sparsifier.masks["weight"])
    return dense, before, masks, model.weight.detach(), optimizer


def dropped(weight, mask, share):
    """Plain twin: of each sign its share, those closest to zero, the odd one from the larger."""
    positive = sorted((w, i) for i, w in enumerate(weight.flatten().tolist()) if w > 0)
    negative = sorted((-w, i) for i, w in enumerate(weight.flatten().tolist()) if w < 0)
    gone = int(share * int(mask.sum()))
    fewer, larger = sorted((positive, negative), key=len)
    of_fewer = gone * len(fewer) // (len(fewer) + len(larger))
    places = [i for _, i in fewer[:of_fewer] + larger[: gone - of_fewer]]
    out = torch.zeros(weight.numel(), dtype=torch.bool)
    out[places] = True
    return out.reshape(weight.shape)


def test_three_tenths_of_each_sign_go_and_as_many_come():
    _, weight, (mask, kept), after, _ = run()
    gone = dropped(weight, mask, 0.3)
    assert int(gone.sum()) == 180
    survivors = mask & ~gone
    assert (kept & survivors).sum() == 420
    assert torch.equal(after[survivors], weight[survivors])
    assert int((kept & ~survivors).sum()) == 180


def test_the_count_never_changes():
    _, _, masks, _, _ = run(steps=12)
    assert [int(mask.sum()) for mask in masks] == [600] * 13
    assert all(not torch.equal(a, b) for a, b in pairwise(masks))


def test_a_constant_share_goes_each_time():
    _, _, masks, _, _ = run(steps=9, growth=Random(share=0.5, decay="constant"))
    came = [int((b & ~a).sum()) for a, b in pairwise(masks)]
    # of 300 newcomers two thirds come from the 600 that were dead
    assert all(150 < each < 250 for each in came)


@pytest.mark.parametrize("spread", [None, 0.5])
def test_newcomers_are_drawn_as_the_weight_was_or_as_is_asked(spread):
    growth = Random(
        share=0.3, decay="constant", start="normal", drop=smallest_of_each_sign, spread=spread
    )
    dense, _, (mask, kept), after, optimizer = run(growth=growth)
    born = kept & ~mask
    wanted = float(dense.std()) if spread is None else spread
    assert float(after[born].std()) == pytest.approx(wanted, rel=0.25)
    assert abs(float(after[born].mean())) < 5 * wanted / int(born.sum()) ** 0.5
    momentum = optimizer.state_dict()["state"][0]["momentum_buffer"]
    assert momentum[born].eq(0).all()


def test_what_went_and_came_back_keeps_its_value():
    _, weight, (mask, kept), after, _ = run()
    back = dropped(weight, mask, 0.3) & kept
    assert back.any()
    assert torch.equal(after[back], weight[back])


def test_they_return_anywhere():
    """Of 780 free places 600 were dead: of 180 newcomers their fair part, five deviations."""
    _, _, (mask, kept), _, _ = run()
    mean = 180 * 600 / 780
    deviation = (mean * (180 / 780) * (600 / 779)) ** 0.5
    assert abs(int((kept & ~mask).sum()) - mean) < 5 * deviation


def test_densities_are_erdos_renyi():
    model = nn.Sequential(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))
    sparsifier = rarefy.sparsify(
        model, 0.9, "set", optimizer=torch.optim.SGD(model.parameters()), steps=100
    )
    # 550 in shares of 150 and 60
    assert [int(mask.sum()) for mask in sparsifier.masks.values()] == [393, 157]

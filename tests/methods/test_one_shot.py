"""One shot: the mask is the top k of the score, over the whole model."""

import pytest
import torch
from torch import nn

import rarefy


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4))


def test_it_keeps_the_largest_of_the_whole_model():
    model = net()
    every = torch.cat([model[0].weight.flatten(), model[2].weight.flatten()]).abs()
    wanted = every >= every.topk(18).values.min()
    sparsifier = rarefy.sparsify(model, 0.75)
    found = torch.cat([sparsifier.masks[n].flatten() for n in ("0.weight", "2.weight")])
    assert torch.equal(found, wanted)


def test_what_is_kept_keeps_its_value_to_the_bit():
    model, before = net(), net()
    mask = rarefy.sparsify(model, 0.75).masks["0.weight"]
    assert torch.equal(model[0].weight, before[0].weight.masked_fill(~mask, 0))


@pytest.mark.parametrize("score", ["magnitude", "random", "gradient", "taylor"])
def test_the_name_of_a_score_is_a_method(score):
    data = [(torch.randn(4, 8), torch.randint(4, (4,)))]
    one = rarefy.sparsify(net(), 0.75, score, data=data, seed=1)
    other = rarefy.sparsify(net(), 0.75, "one_shot", score=score, data=data, seed=1)
    assert one.words["score"] == score
    assert all(torch.equal(one.masks[name], other.masks[name]) for name in one.masks)


def test_a_function_is_a_method():
    model = net()
    rarefy.sparsify(model, 0.75, lambda weight: weight)
    kept = torch.cat([p.flatten() for p in model.parameters() if p.dim() > 1])
    assert kept.min() >= 0, "the most positive ones are kept"
    assert int((kept > 0).sum()) == 18


def test_twice_is_absolute():
    """90 % after 50 % is 90 %, and what the second keeps the first kept."""
    model = net()
    sparsifier = rarefy.sparsify(model, 0.5)
    first = {name: sparsifier.masks[name] for name in sparsifier.masks}
    sparsifier.prune(0.9)
    assert sparsifier.masks.kept == round(0.1 * 72)
    assert all(not (sparsifier.masks[name] & ~first[name]).any() for name in first)

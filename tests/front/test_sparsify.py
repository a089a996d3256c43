"""The first verb: what it changes, what it draws, what it takes."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import rarefy
from rarefy.training import sparsifier_of


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4))


def same(one, other):
    return all(torch.equal(one.masks[name], other.masks[name]) for name in one.masks)


def test_it_works_in_place_and_leaves_an_ordinary_model():
    model = net()
    weight, keys = model[0].weight, list(model.state_dict())
    sparsifier = rarefy.sparsify(model, 0.75)
    assert sparsifier.model is model
    assert sparsifier_of(model) is sparsifier
    assert model[0].weight is weight
    assert weight.is_leaf
    assert list(model.state_dict()) == keys
    assert torch.equal(weight != 0, sparsifier.masks["0.weight"])
    assert not weight._backward_hooks, "no optimizer, no hooks"


def test_biases_stay_as_they_are():
    model, before = net(), net()
    rarefy.sparsify(model, 0.9)
    assert torch.equal(model[0].bias, before[0].bias)


def test_what_is_kept_is_counted_over_the_chosen_weights():
    assert rarefy.sparsify(net(), 0.75).masks.kept == 18
    assert rarefy.sparsify(net(), 0.75, only="0").masks.kept == 12
    model = net()
    sparsifier = rarefy.sparsify(model, 0.75, skip=model[0])
    assert sparsifier.masks.kept == 6
    assert model[0].weight.all()


def test_every_weight_keeps_its_minimum_and_can_be_emptied_when_asked():
    model = net()
    with torch.no_grad():
        model[2].weight.mul_(1e-6)
    assert int(rarefy.sparsify(net(), 0.9).masks["2.weight"].sum()) >= 1
    kept = {
        m: rarefy.sparsify(_scaled(), 0.9, minimum=m).masks["2.weight"].sum() for m in (0, 1, 3)
    }
    assert kept == {0: 0, 1: 1, 3: 3}


def _scaled():
    model = net()
    with torch.no_grad():
        model[2].weight.mul_(1e-6)
    return model


def test_the_last_of_everything_may_stay():
    model = net()
    assert rarefy.sparsify(model, 0.0).masks.kept == 72
    assert all(p.all() for p in model.parameters())


@pytest.mark.parametrize("words", ["2:4", "1:4", "unstructured", "row", "column", "block 2x2"])
def test_a_pattern_by_word(words):
    model = nn.Linear(8, 6)
    fixes = ":" in words
    sparsifier = (
        rarefy.sparsify(model, words) if fixes else rarefy.sparsify(model, 0.5, pattern=words)
    )
    assert sparsifier.masks.kept == {"1:4": 12}.get(words, 24)
    assert sparsifier.words["pattern"] == words


def test_a_seed_gives_the_same_masks_whatever_the_global_state():
    masks = []
    for state in (1, 2):
        model = net()
        torch.manual_seed(state)
        masks.append(rarefy.sparsify(model, 0.9, "static", seed=7))
    assert same(*masks)


def test_a_given_seed_draws_nothing():
    model = net()
    before = torch.get_rng_state()
    rarefy.sparsify(model, 0.9, "static", seed=7)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("method", ["magnitude", "random", "static"])
def test_without_a_seed_one_number_is_drawn(method):
    model = net()
    before = torch.get_rng_state()
    torch.empty((), dtype=torch.int64).random_()
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    rarefy.sparsify(model, 0.9, method)
    assert torch.equal(torch.get_rng_state(), after)


def test_without_a_seed_the_global_one_decides():
    masks = []
    for state in (1, 1, 2):
        model = net()
        torch.manual_seed(state)
        masks.append(rarefy.sparsify(model, 0.8, "static"))
    assert same(masks[0], masks[1])
    assert not same(masks[0], masks[2])


def test_a_loader_that_shuffles_draws_nothing_either():
    model = net()
    loader = DataLoader(
        TensorDataset(torch.randn(9, 8), torch.randint(4, (9,))), batch_size=3, shuffle=True
    )
    before = torch.get_rng_state()
    rarefy.sparsify(model, 0.9, "taylor", data=loader, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_taylor_keeps_what_autograd_says():
    model = net()
    inputs, target = torch.randn(9, 8), torch.randint(4, (9,))
    nn.functional.cross_entropy(model(inputs), target).backward()
    scores = torch.cat([(p * p.grad).abs().flatten() for p in model.parameters() if p.dim() > 1])
    wanted = scores >= scores.topk(18).values.min()
    model.zero_grad()
    sparsifier = rarefy.sparsify(model, 0.75, "taylor", data=[(inputs, target)])
    found = torch.cat([mask.flatten() for mask in sparsifier.masks.values()])
    assert torch.equal(found, wanted)
    assert all(p.grad is None for p in model.parameters())


def test_a_loss_of_ones_own_decides():
    model = net()
    data = [(torch.randn(9, 8),)]
    first = rarefy.sparsify(
        model, 0.75, "gradient", data=data, loss=lambda m, b: m(b[0])[:, 0].sum(), only="2"
    )
    assert first.masks["2.weight"][0].all(), "the other outputs have no gradient"
    assert first.masks.kept == 6


def test_one_shot_with_growth_by_gradient_needs_no_data():
    """Growth takes its gradients from training; the first mask is by magnitude."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(
        model, 0.75, "one_shot", optimizer=optimizer, steps=40, growth="gradient", when="every 5"
    )
    for _ in range(40):
        optimizer.zero_grad()
        model(torch.randn(4, 8)).square().mean().backward()
        optimizer.step()
    sparsifier.check()
    assert sparsifier.masks.kept == 18


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch.compile's own
@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel])
def test_a_wrapped_model_is_the_model(wrap):
    model = net()
    sparsifier = rarefy.sparsify(wrap(model), 0.75)
    assert sparsifier.model is model
    assert list(sparsifier.masks) == ["0.weight", "2.weight"]
    assert same(sparsifier, rarefy.sparsify(net(), 0.75))


def test_a_frozen_weight_is_pruned_too():
    model = net()
    model[0].weight.requires_grad_(False)
    assert same(rarefy.sparsify(model, 0.75), rarefy.sparsify(net(), 0.75))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_dtype_stays(dtype):
    model = net().to(dtype)
    assert rarefy.sparsify(model, 0.75).masks.kept == 18
    assert model[0].weight.dtype is dtype


def test_the_order_of_the_layers_does_not_matter():
    one, other = net(), net()
    turned = nn.Sequential(other[2], other[0])
    first = rarefy.sparsify(one, 0.75)
    second = rarefy.sparsify(turned, 0.75)
    assert torch.equal(first.masks["0.weight"], second.masks["1.weight"])
    assert torch.equal(first.masks["2.weight"], second.masks["0.weight"])


def test_a_model_that_was_finalized_can_be_sparsified_again():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rarefy.sparsify(model, 0.5, "static", optimizer=optimizer).finalize()
    again = rarefy.sparsify(model, 0.75, "static", optimizer=optimizer)
    assert sparsifier_of(model) is again
    assert again.masks.kept == 18


def test_two_models_share_no_state():
    one, other = net(), net()
    first = rarefy.sparsify(one, 0.5)
    second = rarefy.sparsify(other, 0.75)
    assert (first.masks.kept, second.masks.kept) == (36, 18)
    assert one[0].weight.count_nonzero() > other[0].weight.count_nonzero()

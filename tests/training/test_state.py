"""The state as plain data, refused whole where it does not fit."""

import copy
import io
import random

import pytest
import torch
from torch.optim import SGD

import rarefy
from rarefy.errors import StateError
from rarefy.formats import unpack_bits

STEPS = 24


def make(lab, method="snfs", *, seed=0, optimizer=SGD, **given):
    model = lab.build()
    words = {"steps": STEPS, "seed": seed, "when": "every 4 until 75%"} | given
    if method == "static":
        words.pop("when")
    trains = optimizer(model.parameters(), lr=0.05)
    sparsity = words.pop("sparsity", 0.7)
    return model, trains, rarefy.sparsify(model, sparsity, method, optimizer=trains, **words)


@pytest.fixture
def saved(lab):
    """The state of an SNFS run after ten steps."""
    model, optimizer, sparsifier = make(lab)
    lab.train(model, optimizer, lab.batches(10))
    sparsifier.log(loss=1.5)
    return sparsifier.state_dict()


def picture(model, sparsifier):
    return copy.deepcopy(
        (
            {name: mask.clone() for name, mask in sparsifier.masks.items()},
            sparsifier.step,
            sparsifier.plan.seed,
            list(sparsifier.history),
            sparsifier.state_dict()["averages"],
            model.state_dict(),
        )
    )


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def refused(sparsifier, model, state, words=""):
    before = picture(model, sparsifier)
    with pytest.raises(StateError, match=words) as caught:
        sparsifier.load_state_dict(state)
    assert same(picture(model, sparsifier), before)
    return str(caught.value)


def test_it_is_plain_data(lab, saved):
    file = io.BytesIO()
    torch.save(saved, file)
    file.seek(0)
    again = torch.load(file, weights_only=True)
    assert same(again, saved)
    assert saved["step"] == 10
    assert saved["history"][-1] == {"step": 10, "loss": 1.5}
    model, _, sparsifier = make(lab)
    sparsifier.load_state_dict(again)
    assert same(sparsifier.state_dict()["averages"], saved["averages"])
    assert sparsifier.step == 10
    del model


def test_masks_are_packed_bits(lab, saved):
    _, _, sparsifier = make(lab)
    packed = saved["masks"]["2.weight"]
    assert packed["shape"] == [10, 16]
    assert packed["bits"].shape == (20,)
    sparsifier_masks = unpack_bits(packed["bits"], (10, 16))
    assert saved["nonzero"]["2.weight"] <= int(sparsifier_masks.sum())
    del sparsifier


def test_saving_changes_nothing_and_shares_nothing(lab):
    model, optimizer, sparsifier = make(lab)
    data = lab.batches(12)
    lab.train(model, optimizer, data[:5])
    before = picture(model, sparsifier)
    state = sparsifier.state_dict()
    assert same(picture(model, sparsifier), before)
    kept = copy.deepcopy(state)
    lab.train(model, optimizer, data[5:])
    assert same(state, kept)
    other, _, fresh = make(lab)
    fresh.load_state_dict(state)
    fresh.log(loss=0.0)
    assert same(state, kept)
    del other


def test_the_seed_of_the_saved_run_is_taken(lab):
    model, _, sparsifier = make(lab, "set", seed=5)
    other, _, again = make(lab, "set", seed=6)
    again.load_state_dict(sparsifier.state_dict())
    assert again.plan.seed == 5
    del model, other


# -- another plan or model


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"method": "static"}, r"method='snfs'; this Sparsifier has 'static'"),
        ({"method": "rigl"}, r"'snfs'; this Sparsifier has 'rigl'"),
        ({"sparsity": 0.8}, r"sparsity='0\.7'"),
        ({"when": "every 5 until 75%"}, r"every 4"),
        ({"steps": 48}, r"until"),
        ({"minimum": 0}, r"minimum='1'"),
        ({"allocation": "erdos_renyi"}, r"allocation='uniform'"),
        ({"growth": rarefy.growth.Momentum(share=0.4)}, r"growth="),
        ({"growth": rarefy.growth.Momentum(beta=0.5)}, r"growth="),
        ({"score": "random"}, r"score='magnitude'"),
        ({"skip": "0"}, r"another model: 0\.weight"),
    ],
)
def test_another_plan_is_refused(lab, saved, other, words):
    method = other.pop("method", "snfs")
    model, _, sparsifier = make(lab, method, **other)
    other["method"] = method
    assert refused(sparsifier, model, saved, words)


def test_another_shape_is_refused(saved):
    model = torch.nn.Sequential(
        torch.nn.Linear(12, 16),
        torch.nn.Tanh(),
        torch.nn.Linear(16, 5),
        torch.nn.Tanh(),
        torch.nn.Linear(5, 4),
    )
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(
        model, 0.7, "snfs", optimizer=optimizer, steps=STEPS, when="every 4 until 75%", seed=0
    )
    assert refused(sparsifier, model, saved, r"2\.weight has shape \(5, 16\)")


def test_another_ranks_average_is_refused(lab, saved):
    model, _, sparsifier = make(lab)
    words = "saved by rank 1 and is loaded by rank 0.*save and load one a rank"
    assert refused(sparsifier, model, saved | {"rank": 1}, words)
    other, optimizer, rigl = make(lab, "rigl")
    lab.train(other, optimizer, lab.batches(3))
    rigl.load_state_dict(rigl.state_dict() | {"rank": 1})  # nothing in it is one rank's own


# -- damage


@pytest.mark.parametrize("odd", [None, 3, "state", [], {}, {"format": 2}, {"format": "1"}])
def test_no_state_at_all(lab, odd):
    model, _, sparsifier = make(lab)
    assert refused(sparsifier, model, odd, "no Sparsifier state")


GARBAGE = [None, -1, "x", 1.5, True, [], {}, [1], {"a": 1}, torch.ones(3), float("nan"), b"\x00"]


def damages(state, random_source, count):
    """The state with one place of it replaced or removed, ``count`` times."""
    places = []

    def walk(value, path):
        if path:
            places.append(path)
        keys = (
            value.keys()
            if isinstance(value, dict)
            else range(len(value))
            if isinstance(value, list)
            else ()
        )
        for key in keys:
            walk(value[key], (*path, key))

    walk(state, ())
    for _ in range(count):
        path = random_source.choice(places)
        damaged = copy.deepcopy(state)
        holder = damaged
        for key in path[:-1]:
            holder = holder[key]
        if random_source.random() < 0.2:
            del holder[path[-1]]
        else:
            holder[path[-1]] = random_source.choice(GARBAGE)
        yield path, damaged


def test_damaged_states_are_refused_or_whole(lab, saved):
    """Whatever is put into one place: one clear error and nothing changed, or it still fits."""
    source = random.Random(4)
    model, _, sparsifier = make(lab)
    before = picture(model, sparsifier)
    clean = sparsifier.state_dict()
    refusals = 0
    for path, damaged in damages(saved, source, 400):
        try:
            sparsifier.load_state_dict(damaged)
        except StateError:
            refusals += 1
            assert same(picture(model, sparsifier), before), path
            continue
        # What was taken is sound: numbers of the history, a seed, an equal value.
        assert path[0] in ("seed", "history", "step", "nonzero", "averages", "rank", "spreads"), (
            path
        )
        sparsifier.state_dict()
        sparsifier.load_state_dict(clean)
    assert refusals > 250


def test_a_truncated_or_padded_mask(lab, saved):
    model, _, sparsifier = make(lab)
    for bits in (
        saved["masks"]["0.weight"]["bits"][:-1],
        torch.cat([saved["masks"]["0.weight"]["bits"], torch.zeros(1, dtype=torch.uint8)]),
        saved["masks"]["0.weight"]["bits"].to(torch.int32),
    ):
        damaged = copy.deepcopy(saved)
        damaged["masks"]["0.weight"]["bits"] = bits
        assert refused(sparsifier, model, damaged, "damaged.*Nothing was changed")

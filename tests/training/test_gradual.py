"""Sparsity that rises while a model trains."""

import pytest
from torch.optim import SGD

import rarefy
from rarefy.errors import InvariantError
from rarefy.schedules import Cubic

STEPS = 24


def test_gmp_follows_its_ramp_to_the_unit(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1)
    ramp = Cubic(final=0.9, start=4, end=17)  # five steps do not divide it, and it lands
    sparsifier = rarefy.sparsify(
        model, 0.9, "gmp", optimizer=optimizer, steps=STEPS, when=ramp, seed=0
    )
    kept = []
    lab.train(model, optimizer, lab.batches(STEPS), lambda: kept.append(sparsifier.masks.kept))
    sparsities = {step: 0.9 * (1 - (1 - (step - 4) / 13) ** 3) for step in (9, 14)} | {17: 0.9}
    wanted, now = [], 392
    for step in range(1, STEPS + 1):
        now = round((1 - sparsities[step]) * 392) if step in sparsities else now
        wanted.append(now)
    assert kept == wanted


def test_gmp_only_ever_removes(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(model, 0.9, optimizer=optimizer, steps=STEPS, seed=0)
    assert sparsifier.method == "gmp"
    last = [sparsifier.masks]

    def look():
        for name, mask in sparsifier.masks.items():
            assert not (mask & ~last[0][name]).any()
        last[0] = sparsifier.masks

    lab.train(model, optimizer, lab.batches(STEPS), look)
    assert sparsifier.masks.kept == 39


def test_prune_by_hand_goes_ahead_of_the_ramp(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(
        model, 0.9, optimizer=optimizer, steps=STEPS, when="every 2 until 75%", seed=0
    )
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:3])
    sparsifier.prune(0.85)
    kept = []
    lab.train(model, optimizer, data[3:], lambda: kept.append(sparsifier.masks.kept))
    assert kept[0] == round(0.15 * 392)
    assert kept[-1] == 39
    assert sorted(kept, reverse=True) == kept


def test_a_ramp_that_is_cut_short_is_not_final(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(
        model, 0.9, optimizer=optimizer, steps=STEPS, when="every 2 until 75%", seed=0
    )
    lab.train(model, optimizer, lab.batches(6))
    with pytest.raises(InvariantError, match=r"ends at step 18 and only 6 .*prune\(0\.9\)"):
        sparsifier.finalize()
    assert sparsifier.attached
    sparsifier.prune(0.9)
    sparsifier.finalize()
    assert not sparsifier.attached
    assert sum(int((w != 0).sum()) for w in model.parameters() if w.dim() > 1) == 39

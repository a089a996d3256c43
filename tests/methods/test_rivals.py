"""Each method beats its simplest rival on real digits: same network, batches, steps and seed."""

import functools

import pytest

import rarefy

pytest.importorskip("sklearn")

SPARSITY = 0.98


@functools.cache
def right(method, sparsity=SPARSITY, allocation=None, seeds=(0, 1, 2)):
    """Test samples told right, of 360, summed over seeds."""
    from rarefy.lab import tasks

    task = tasks.digits()
    found = 0
    for seed in seeds:
        model = task.build(seed=seed)
        words = {"seed": seed, "allocation": allocation}

        def attach(optimizer, steps, model=model, words=words):
            if method in ("dense", "random", "one_shot"):
                return None
            return rarefy.sparsify(
                model, sparsity, method, optimizer=optimizer, steps=steps, **words
            )

        task.train(model, attach, epochs=12, seed=seed)
        if method in ("random", "one_shot"):
            rarefy.sparsify(model, sparsity, method, **words)
        found += round(360 * task.evaluate(model)["accuracy"])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("method", ["set", "rigl", "snfs"])
def test_moving_a_mask_beats_leaving_it(method):
    assert right(method) > right("static")


@pytest.mark.slow
def test_pruning_slowly_beats_pruning_at_once():
    assert right("gmp") > right("one_shot", allocation="uniform")


@pytest.mark.slow
def test_the_largest_weights_beat_any_weights():
    assert right("one_shot", 0.7) > right("random", 0.7)


@pytest.mark.slow
def test_thin_layers_kept_denser_beat_the_same_share_everywhere():
    assert right("static") > right("static", allocation="uniform")

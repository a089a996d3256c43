"""The example that adds a score: under 40 lines, it runs, and it keeps its promise."""

import importlib.util
import re
from pathlib import Path

import torch
from torch import nn

import rarefy

PATH = Path(__file__).parents[1] / "examples" / "add_your_own_score.py"


def loaded():
    spec = importlib.util.spec_from_file_location("add_your_own_score", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_short():
    assert len(PATH.read_text(encoding="utf-8").splitlines()) < 40


def test_it_runs_and_starves_fewer_neurons(capsys):
    before = torch.get_rng_state()
    loaded().main()
    torch.set_rng_state(before)
    lost = {
        name: int(count)
        for name, count in re.findall(r"(\w+): 237 of 2368.*, (\d+) of 32", capsys.readouterr().out)
    }
    assert set(lost) == {"magnitude", "relative_magnitude"}
    assert lost["relative_magnitude"] < lost["magnitude"] / 2


def test_it_is_a_score_with_every_pattern_and_method():
    score = loaded().relative_magnitude
    weight = torch.tensor([[[[3.0], [-1.0]], [[0.2], [0.6]]]])
    torch.testing.assert_close(score(weight), torch.tensor([[[[0.75], [0.25]], [[0.25], [0.75]]]]))
    model = nn.Linear(8, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(
        model, 0.5, "rigl", score=score, pattern="block 2x2", optimizer=optimizer, steps=20
    )
    for _ in range(20):
        optimizer.zero_grad()
        model(torch.randn(4, 8)).square().mean().backward()
        optimizer.step()
    sparsifier.check()
    assert sparsifier.masks.kept == 32


def test_a_neuron_without_inputs_scores_zero_not_nan():
    assert loaded().relative_magnitude(torch.zeros(1, 2, 3, 1)).eq(0).all()

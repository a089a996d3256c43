"""Each example runs, is short, and shows what it says."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.fixture(autouse=True)
def _as_it_was():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def example(name):
    path = next(path for path in EXAMPLES if path.stem == name)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60


def test_a_score_of_ones_own_starves_fewer_neurons(capsys):
    example("add_your_own_score").main()
    lines = capsys.readouterr().out.splitlines()
    magnitude, own = (int(re.search(r"(\d+) of 32 neurons", line)[1]) for line in lines)
    assert own < magnitude
    assert all("237 of 2368" in line for line in lines)


@pytest.mark.slow
def test_training_sparse_from_scratch_beats_a_fixed_mask(capsys):
    accuracy = example("train_sparse_from_scratch").main()
    assert accuracy["rigl"] > accuracy["static"]
    assert accuracy["rigl"] > 0.85
    assert capsys.readouterr().out.count("1,506 weights") == 2


@pytest.mark.slow
def test_a_compressed_transformer_learns_and_is_saved(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("call me Ishmael. " * 500, encoding="utf-8")
    main = example("train_char_lm_compressed").main
    before, after = main(tmp_path, steps=12, out=tmp_path / "lm.safetensors")
    assert after < before - 1
    assert "90.0% of 3,211,264 weights do not exist" in capsys.readouterr().out
    assert (tmp_path / "lm.safetensors").stat().st_size < 0.16 * 4 * 3_211_264
    with pytest.raises(SystemExit, match="no text in"):
        main(tmp_path / "nowhere")


@pytest.mark.slow
def test_a_pruned_net_recovers_and_loads_back(tmp_path, capsys):
    accuracy = example("prune_a_trained_net").main(tmp_path)
    assert accuracy["pruned"] < accuracy["dense"]
    assert accuracy["retrained"] > accuracy["pruned"]
    assert accuracy["loaded"] == accuracy["retrained"]
    assert (tmp_path / "sparse.safetensors").stat().st_size < 0.16 * 4 * 52_510
    assert "5,180 of 51,800 kept" in capsys.readouterr().out

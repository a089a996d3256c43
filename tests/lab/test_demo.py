"""The demonstration, on a task that takes no time."""

import importlib.util
import json

import pytest
import torch

import rarefy
from rarefy.errors import BudgetError, FileError, InvariantError, MissingExtra
from rarefy.lab import _demo, demo, run, setup_of


@pytest.fixture
def found(tiny, tmp_path):
    return demo(tiny, sparsity=0.75, seeds=2, out=tmp_path / "out")


def test_it_trains_four_methods_at_the_same_budget(found, tiny):
    assert list(found.accuracy) == ["dense", "gmp", "rigl", "static"]
    assert all(len(each) == 2 for each in found.accuracy.values())
    for name in found.accuracy:
        for seed in (0, 1):
            alone = run(setup_of(tiny, name, 0.0 if name == "dense" else 0.75, seed=seed))
            assert alone.score["accuracy"] == found.accuracy[name][seed]
    kept = {name: report.counts.kept for name, report in found.comparison.items()}
    assert kept == {"dense": 180, "gmp": 45, "rigl": 45, "static": 45}


def test_it_writes_models_records_and_the_page(found, tiny):
    for name, report in found.comparison.items():
        path = found.weights(name)
        assert report.file_bytes == path.stat().st_size
        model = rarefy.load(path, tiny.build(seed=7))
        assert tiny.evaluate(model) == report.scores["this"]
        assert rarefy.report(path.parent).history
    assert "<!DOCTYPE html>" in found.page.read_text(encoding="utf-8")[:20]
    assert json.loads((found.folder / "demo.json").read_text()) == found.to_dict()


def test_the_page_says_which_seed_it_shows(found):
    assert "of seed 0 of 2; the table in the terminal" in found.page.read_text(encoding="utf-8")


def test_it_can_be_run_again_into_the_same_folder(found, tiny):
    again = demo(tiny, sparsity=0.5, seeds=1, out=found.folder)
    assert "of seed 0, the only one" in again.page.read_text(encoding="utf-8")
    assert again.comparison["rigl"].counts.kept == 90
    assert rarefy.report(found.folder / "rigl").counts.kept == 90


def test_it_tells_how_far_it_is(tiny, tmp_path):
    told = []
    demo(tiny, seeds=1, sparsity=0.5, epochs=2, out=tmp_path, watch=lambda *now: told.append(now))
    assert [step for _, step, _ in told] == list(range(1, 81))
    assert {steps for *_, steps in told} == {80}
    assert told[0][0] == "dense, seed 0"
    assert told[-1][0] == "static, seed 0"


def test_a_file_that_gives_back_other_values_is_noticed(tiny, tmp_path, monkeypatch):
    def other(path, model):
        del path
        torch.nn.init.zeros_(model[0].weight)
        return model

    monkeypatch.setattr(_demo, "load", other)
    with pytest.raises(InvariantError, match=r"other values of 0\.weight"):
        demo(tiny, seeds=1, out=tmp_path)


def test_without_plotly_it_says_so_before_training(tiny, tmp_path, monkeypatch):
    whole = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "plotly" else whole(name)
    )
    with pytest.raises(MissingExtra, match=r"pip install 'rarefy\[demo\]'"):
        demo(tiny, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [{"seeds": 0}, {"sparsity": 90}])
def test_odd_numbers_are_refused(tiny, tmp_path, given):
    with pytest.raises(BudgetError):
        demo(tiny, out=tmp_path, **given)


def test_a_folder_that_cannot_be_made_is_told(tiny, tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(FileError):
        demo(tiny, out=tmp_path / "x" / "y")


def test_compressed_is_trained_so_and_saved_as_ever(tiny, tmp_path):
    found = demo(tiny, sparsity=0.75, seeds=1, storage="compressed", out=tmp_path / "out")
    storages = {name: report.training.storage for name, report in found.comparison.items()}
    assert storages == {
        "dense": "dense",
        "gmp": "masked",
        "rigl": "compressed",
        "static": "compressed",
    }
    assert {name: report.counts.kept for name, report in found.comparison.items()} == {
        "dense": 180,
        "gmp": 45,
        "rigl": 45,
        "static": 45,
    }
    told = {row[0]: row[8] for row in found.table().rows}
    assert told["gmp"].endswith("kB, simulated")
    assert told["rigl"].endswith("kB, compressed")
    assert any("GMP starts dense, so it is masked" in note for note in found.notes())
    model = rarefy.load(found.weights("rigl"), tiny.build(seed=7))
    # Dense kernels add up in another order than compressed ones.
    ours = tiny.evaluate(model)["loss"]
    assert ours == pytest.approx(found.comparison["rigl"].scores["this"]["loss"], rel=1e-5)

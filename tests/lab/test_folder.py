"""A run as a folder."""

import json

import pytest
import torch
from safetensors.torch import load_file

import rarefy
from rarefy.errors import FileError
from rarefy.lab import RunFolder, about, run, setup_of
from rarefy.lab._folder import finite, make_folder, write_json


def test_run_json_says_what_happened(tiny, tmp_path):
    outcome = run(setup_of(tiny, "rigl", 0.75, seed=2, words={"growth": "random"}))
    RunFolder(tmp_path / "run").write(outcome)
    found = json.loads((tmp_path / "run" / "run.json").read_text())
    assert found["format"] == 1
    assert (found["task"], found["method"], found["sparsity"]) == ("tiny", "rigl", 0.75)
    assert (found["steps"], found["seed"], found["kept"], found["size"]) == (40, 2, 45, 180)
    assert found["score"] == outcome.score
    assert found["words"]["growth"] == "random"
    assert found["history"][0]["step"] == 0
    assert found["history"][-1]["step"] == 39
    assert "loss" in found["history"][-1]
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["model.safetensors", "run.json"]


def test_the_file_loads_back_to_the_bit_with_its_method(tiny, tmp_path):
    outcome = run(setup_of(tiny, "static", 0.75))
    RunFolder(tmp_path).write(outcome)
    again = rarefy.load(tmp_path / "model.safetensors", tiny.build(seed=9))
    for key, value in outcome.model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)
    report = rarefy.report(tmp_path)
    assert (report.method, report.counts.kept, report.step) == ("static", 45, 40)
    assert report.scores["this"] == outcome.score


def test_the_dense_control_is_an_ordinary_file(tiny, tmp_path):
    outcome = run(setup_of(tiny, "dense"))
    RunFolder(tmp_path).write(outcome)
    found = load_file(tmp_path / "model.safetensors")
    assert found.keys() == outcome.model.state_dict().keys()
    assert about(outcome)["method"] == "dense"
    assert about(outcome)["words"] == {}
    assert rarefy.report(tmp_path).method == "dense"


def test_what_json_has_no_word_for_becomes_none():
    nan, inf = float("nan"), float("inf")
    assert finite({"a": [1.5, nan, (inf, "x")], "b": 3}) == {"a": [1.5, None, [None, "x"]], "b": 3}


def test_a_folder_in_the_way_of_a_file_is_told(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(FileError, match="cannot be made"):
        make_folder(tmp_path / "x" / "y")
    with pytest.raises(FileError, match="could not be written"):
        write_json(tmp_path / "no" / "run.json", {})
    (tmp_path / "run.json").mkdir()
    with pytest.raises(FileError, match="could not be written"):
        write_json(tmp_path / "run.json", {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.json", "x"], (
        "nothing is left beside it"
    )

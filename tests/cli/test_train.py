"""``rarefy train``."""

import json

import pytest
import torch

import rarefy
from rarefy.files import read, read_masks

OWN = ["--model", "mine:build", "--train", "mine:train", "--evaluate", "mine:evaluate"]


def test_a_task_is_trained_recorded_and_saved(as_json, tmp_path):
    words = ("train", "digits", "rigl", "0.9", "--epochs", "2", "--seed", "3", "--out", "run")
    found = as_json(*words, "--set", "growth=random", "--skip", "4.weight")
    assert (found["task"], found["method"], found["sparsity"]) == ("digits", "rigl", 0.9)
    assert (found["kept"], found["size"], found["seed"]) == (4920, 49200, 3)
    assert found["words"]["growth"] == "random"
    assert found["score"]["accuracy"] > 0.2
    assert any("loss" in record for record in found["history"])
    run = tmp_path / "run"
    assert found["bytes"] == (run / "model.safetensors").stat().st_size
    assert found["bytes_dense"] == 4 * 50_610
    record = json.loads((run / "run.json").read_text())
    assert record == {key: found[key] for key in record}
    assert sorted(path.name for path in run.iterdir()) == ["model.safetensors", "run.json"]
    assert set(read_masks(run / "model.safetensors")) == {"0.weight", "2.weight"}
    assert rarefy.report(run).history


def test_the_default_folder_says_what_the_run_was(rarefy_, tmp_path):
    shown = rarefy_("train", "digits", "static", "0.9", "--epochs", "1").stdout
    assert "5,020 of 50,200 kept" in shown
    assert (tmp_path / "runs" / "digits-static-0.9-seed0" / "run.json").is_file()
    rarefy_("train", "digits", "dense", "--epochs", "1")
    folder = tmp_path / "runs" / "digits-dense-seed0"
    assert read(folder / "model.safetensors").version is None


def test_an_allocation_by_expression(as_json, tmp_path):
    words = ("train", "digits", "gmp", "0.9", "--epochs", "1", "--out", "run")
    found = as_json(*words, "--set", "allocation=^0=.85", "--set", "minimum=0")
    assert found["kept"] == 5_020
    assert "^0" in found["words"]["allocation"]
    mask = read_masks(tmp_path / "run" / "model.safetensors")["0.weight"]
    assert (int(mask.sum()), mask.numel()) == (2_880, 19_200)


@pytest.mark.usefixtures("mine")
def test_own_functions_are_trained_too(as_json, tmp_path):
    found = as_json("train", *OWN, "gmp", "0.75", "--out", "run")
    assert (found["task"], found["method"], found["steps"]) == ("mine:build", "gmp", 40)
    assert (found["kept"], found["size"]) == (8, 32)
    assert found["score"]["score"] < 1
    assert (tmp_path / "run" / "run.json").is_file()


@pytest.mark.usefixtures("mine")
def test_a_score_that_needs_data_gets_the_users_batches(as_json, rarefy_):
    words = ("train", *OWN, "taylor", "0.5")
    assert "data=" in rarefy_(*words, "--out", "a", code=1).stderr
    assert as_json(*words, "--batches", "mine:batches", "--out", "b")["kept"] == 16


@pytest.mark.usefixtures("mine")
def test_a_pattern_fixes_the_sparsity(as_json):
    found = as_json("train", *OWN, "one_shot", "2:4")
    assert (found["sparsity"], found["kept"]) == ("2:4", 16)
    assert found["folder"].endswith("mine_build-one_shot-2_4-seed0")


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("method", ["gmp", "rigl"])
def test_a_run_that_was_stopped_goes_on(rarefy_, as_json, method, tmp_path):
    whole = as_json("train", *OWN, method, "0.75", "--out", "whole")
    stopping = [word.replace("mine:train", "mine:stops") for word in OWN]
    result = rarefy_("train", *stopping, method, "0.75", "--out", "run", code=130)
    assert "--resume" in result.stderr
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    assert not (tmp_path / "run" / "run.json").exists()
    refused = rarefy_("train", *OWN, method, "0.75", "--out", "run", code=1)
    assert "--resume" in refused.stderr
    other = rarefy_("train", *OWN, method, "0.5", "--out", "run", "--resume", code=1)
    assert "sparsity was 0.75, is 0.5" in other.stderr
    again = as_json("train", *OWN, method, "0.75", "--out", "run", "--resume")
    assert again["history"] == whole["history"]
    one, two = (read(f"{name}/model.safetensors") for name in ("run", "whole"))
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in two.tensors)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


@pytest.mark.usefixtures("mine")
def test_a_run_that_has_ended_is_not_overwritten(rarefy_):
    rarefy_("train", *OWN, "static", "0.5", "--out", "run")
    for more in ([], ["--resume"]):
        result = rarefy_("train", *OWN, "static", "0.5", "--out", "run", *more, code=1)
        assert "has ended" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["digits", "rigl"], "TASK METHOD SPARSITY"),
        (["digits"], "TASK METHOD SPARSITY"),
        (["digits", "rigl", "0.9", "more"], "TASK METHOD SPARSITY"),
        (["digits", "rigl", "0.9", "--train", "mine:train"], "both"),
        (["rigl", "0.9", "--model", "mine:build"], "both"),
        (["digits", "rigl", "0.9", "--set", "growth"], "WORD=VALUE"),
        ([*OWN, "rigl", "0.9", "--epochs", "3"], "your own"),
    ],
)
def test_a_wrong_command_line_ends_with_2(rarefy_, words, said):
    assert said in rarefy_("train", *words, code=2).stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["digits", "rigl", "90"], "Did you mean 0.9?"),
        (["digits", "rigle", "0.9"], "Did you mean 'rigl'?"),
        (["digit", "rigl", "0.9"], "Did you mean 'digits'?"),
        (["digits", "rigl", "0.9", "--set", "grow=random"], "takes no 'grow'"),
        (["digits", "rigl", "0.9", "--set", "growth=gradent"], "gradient"),
        (["digits", "rigl", "0.9", "--epochs", "0"], "epochs"),
        (["digits", "rigl", "0.9", "--only", "9.weight"], "9.weight"),
        (["digits", "rigl", "0.9", "--download"], "nothing to download"),
        (["digits", "dense", "0.9"], "dense control"),
        (["fashion", "rigl", "0.9", "--data", "."], "Fashion-MNIST is not here"),
        ([*OWN[:4], "static", "0.5"], "no module 'mine'"),
    ],
)
def test_the_library_refuses_and_leaves_no_folder(rarefy_, tmp_path, words, said):
    result = rarefy_("train", *words, code=1)
    assert said in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("storage", ["masked", "compressed"])
def test_what_training_held_is_told_and_kept(rarefy_, tmp_path, storage):
    words = ("train", "digits", "rigl", "0.9", "--epochs", "1", "--storage", storage)
    shown = rarefy_(*words, "--out", "run").stdout
    assert ("simulated" in shown) == (storage == "masked")
    assert "topology update" in shown
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["training"]["storage"] == storage
    assert record["training"]["metered"]["steps"] == 44
    assert ("simulated" in str(rarefy.report(tmp_path / "run"))) == (storage == "masked")


def test_compressed_starts_sparse_or_not_at_all(rarefy_, tmp_path):
    words = ("train", "digits", "gmp", "0.9", "--epochs", "1", "--storage", "compressed")
    assert "compress()" in rarefy_(*words, code=1).stderr
    words = ("train", "digits", "rigl", "0.9", "--epochs", "1", "--storage", "packed")
    assert "'masked' or 'compressed'" in rarefy_(*words, code=1).stderr
    assert (
        "dense control"
        in rarefy_("train", "digits", "dense", "--storage", "compressed", code=1).stderr
    )
    assert list(tmp_path.iterdir()) == []

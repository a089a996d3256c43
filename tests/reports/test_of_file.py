"""Reports of files and runs."""

import json

import pytest
import torch
from safetensors.torch import save_file

import rarefy
from rarefy.errors import FileError
from rarefy.reports import report


@pytest.fixture
def run(trained, tmp_path):
    """The folder of a run."""
    rarefy.save(trained.model, tmp_path / "model.safetensors")
    about = {
        "format": 1,
        "task": "digits",
        "method": "static",
        "steps": 4,
        "score": {"accuracy": 0.5, "loss": None},
        "history": [{"step": 0, "loss": 2.0}, {"step": 4, "loss": None, "sparsity": 0.75}],
        "words": {"score": "magnitude"},
    }
    (tmp_path / "run.json").write_text(json.dumps(about))
    return tmp_path


def test_a_file_holds_what_the_model_held(trained, tmp_path):
    path = tmp_path / "model.safetensors"
    with torch.no_grad():  # a kept weight that is 0.0 stays kept
        place = int(trained.masks["0.weight"].flatten().nonzero()[0])
        trained.model[0].weight.view(-1)[place] = 0.0
    rarefy.save(trained.model, path)
    found, live = report(path), report(trained)
    assert (found.kind, found.name, found.state) == ("file", "model.safetensors", "masked")
    assert (found.counts.kept, found.counts.nonzero) == (15, 14)
    assert (found.counts.parameters, found.counts.size) == (live.counts.parameters, 60)
    assert found.counts.parameters_nonzero == live.counts.parameters_nonzero
    assert found.sizes == live.sizes
    assert (found.dead, found.histograms) == (live.dead, live.histograms)
    assert found.pictures["0.weight"].full() == live.pictures["0.weight"].full()
    assert found.file_bytes == path.stat().st_size
    assert "no code" in found.absent["FLOPs, latency and score"]


def test_in_any_other_file_a_zero_is_a_removed_weight(tmp_path):
    path = tmp_path / "other.safetensors"
    weight = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    counter = torch.zeros(2, 2, dtype=torch.int64)
    save_file({"w": weight, "b": torch.zeros(2), "n": counter}, path)
    found = report(str(path))
    assert [(count.name, count.kept) for count in found.counts.targets] == [("w", 1)]
    assert found.counts.parameters == 10
    assert found.sizes.rest == 2 * 4 + 4 * 8
    assert found.dead["w"].outputs == (1,)
    assert "rarefy.save()" in found.meaning


def test_a_tied_weight_is_listed_under_all_its_names(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    model[1].weight = model[0].weight
    rarefy.sparsify(model, 0.5)
    rarefy.save(model, tmp_path / "x.safetensors")
    assert report(tmp_path / "x.safetensors").counts.targets[0].aliases == ("0.weight", "1.weight")


def test_a_run_adds_what_happened(run):
    found = report(run)
    assert (found.kind, found.name, found.step) == ("run", run.name, 4)
    assert (found.method, found.words) == ("static", {"score": "magnitude"})
    assert found.scores == {"this": {"accuracy": 0.5}}
    assert found.history == ({"step": 0.0, "loss": 2.0}, {"step": 4.0, "sparsity": 0.75})
    assert set(found.absent) == {"FLOPs and latency"}


def test_a_run_without_a_score_says_so(run):
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**about, "score": {}}))
    found = report(run)
    assert found.scores == {}
    assert found.absent["score"] == "run.json has none"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "has format 'list'"),
        ('{"format": 2}', "has format 2"),
        ('{"format": 1, "history": {}}', "history is dict, not list"),
        ('{"format": 1, "training": {"storage": "masked"}}', "training is incomplete"),
        ('{"format": 1, "history": [{"loss": 1}]}', "record 0 of history has no step"),
    ],
)
def test_a_damaged_run_is_refused(run, text, message):
    (run / "run.json").write_text(text)
    with pytest.raises(FileError, match=message):
        report(run)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileError, match=r"is no run: run\.json cannot be read"):
        report(tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileError, match=r"missing\.safetensors"):
        report(tmp_path / "missing.safetensors")

"""A file, or a folder of files that make one model."""

import json

import pytest
import torch

from rarefy.errors import FileError
from rarefy.files._folder import job_of


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in"
    made.mkdir()
    for name in ("b.safetensors", "a.safetensors", "config.json", "a.bin"):
        (made / name).write_text(name)
    (made / "deep").mkdir()
    (made / "deep" / "a.safetensors").write_text("deep")
    return made


def index(folder, content):
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "model.safetensors.index.json").write_text(text)


def test_a_file_is_itself(tmp_path):
    job = job_of(tmp_path / "a")
    with job.into(tmp_path / "b") as places:
        assert places == {tmp_path / "a": tmp_path / "b"}


def test_a_folder_is_all_files_directly_in_it(folder):
    assert [path.name for path in job_of(folder).sources] == ["a.safetensors", "b.safetensors"]


def test_an_index_says_which_files_are_the_model(folder):
    index(folder, {"weight_map": {"x": "b.safetensors", "y": "b.safetensors"}})
    assert job_of(folder).sources == (folder / "b.safetensors",)


def test_the_other_files_are_copied(folder, tmp_path, tools):
    index(folder, {"weight_map": {"x": "b.safetensors"}})
    with job_of(folder).into(tmp_path / "out") as places:
        for place in places.values():
            tools.plain_file(place, {"new": torch.ones(1)})
    out = tmp_path / "out"
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert names == [
        "a.bin",
        "a.safetensors",
        "b.safetensors",
        "config.json",
        "deep/a.safetensors",
        "model.safetensors.index.json",
    ]
    assert b"new" in (out / "b.safetensors").read_bytes()
    assert (out / "a.safetensors").read_text() == "a.safetensors"
    assert (out / "deep" / "a.safetensors").read_text() == "deep"


def test_an_index_tells_of_what_was_written(folder, tmp_path, tools):
    weight_map = {"x": "b.safetensors", "y": "a.safetensors", "z": "b.safetensors"}
    index(folder, {"metadata": {"total_size": 1, "by": "me"}, "weight_map": weight_map})
    (folder / "model.safetensors.index.json").chmod(0o444)
    with job_of(folder).into(tmp_path / "out") as places:
        tools.plain_file(places[folder / "b.safetensors"], {"x.mask": torch.ones(3).byte()})
        two = {"y": torch.ones(2), "w": torch.ones(5).half()}
        tools.plain_file(places[folder / "a.safetensors"], two)
    assert json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text()) == {
        "metadata": {"total_size": 3 + 8 + 10, "by": "me"},
        "weight_map": {"w": "a.safetensors", "x.mask": "b.safetensors", "y": "a.safetensors"},
    }


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "none.safetensors", ".", ""])
def test_an_index_cannot_point_elsewhere(folder, name):
    (folder.parent / "secret").touch()
    index(folder, {"weight_map": {"x": name}})
    with pytest.raises(FileError, match="which its index names"):
        job_of(folder)


@pytest.mark.parametrize(
    "content", ["[", "[]", "{}", '{"weight_map": 3}', '{"weight_map":{"a":1}}']
)
def test_a_damaged_index_is_refused(folder, content):
    index(folder, content)
    with pytest.raises(FileError, match=r"index\.json: "):
        job_of(folder)


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(FileError, match=r"has no \*\.safetensors"):
        job_of(tmp_path)


def test_a_destination_inside_the_source_is_refused(folder):
    with (
        pytest.raises(FileError, match="is inside"),
        job_of(folder).into(folder / "deep" / "out"),
    ):
        pass
    assert not (folder / "deep" / "out").exists()

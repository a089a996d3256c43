"""Whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rarefy.errors import FileError
from rarefy.files._atomic import building, replacing


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    with replacing(tmp_path / "new") as fresh:
        fresh.write_bytes(b"new")
    assert (tmp_path / "new").read_bytes() == b"new"
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_old_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with replacing(path) as fresh:
        fresh.write_bytes(b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with replacing(tmp_path / "link") as fresh:
        fresh.write_bytes(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def fail_after(fresh, error):
    fresh.write_bytes(b"half of the n")
    raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path) as fresh:
        fail_after(fresh, error)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - hidden ones too


def test_a_move_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with (
        pytest.raises(FileError, match=r"cannot be written: No space left on device\. What was"),
        replacing(path) as fresh,
    ):
        fresh.write_bytes(b"new")
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(FileError, match=r"No such file or directory.*The folder must exist"),
        replacing(tmp_path / "none" / "file"),
    ):
        pass


def test_a_folder_in_the_way_is_left_alone(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match="Is a directory"), replacing(tmp_path / "folder") as fresh:
        fresh.write_bytes(b"new")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_appears_whole(tmp_path):
    with building(tmp_path / "made") as part:
        (part / "a").write_bytes(b"a")
        assert not (tmp_path / "made").exists()
    assert (tmp_path / "made" / "a").read_bytes() == b"a"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    with (
        pytest.raises(RuntimeError),
        building(tmp_path / "made") as part,
    ):
        fail_after(part / "a", RuntimeError)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_never_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(FileError, match="exists already"), building(tmp_path / "there"):
        pass


KILLED = """
import sys, time
from pathlib import Path
import torch
from rarefy.files import save
import rarefy.files._container as container

serialize = container.serialize_file

def slow(*args):
    serialize(*args)
    print("in the middle", flush=True)
    time.sleep(60)

container.serialize_file = slow
torch.manual_seed(1)
save(torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 64)), sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_process_killed_while_saving_leaves_the_old_file(tmp_path, saved):
    before = saved.read_bytes()
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(saved)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with process:
        assert process.stdout.readline() == b"in the middle\n"
        time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert saved.read_bytes() == before
    (left,) = [path for path in tmp_path.iterdir() if path != saved]
    assert left.name.startswith(".rarefy-")  # what the next look into the folder shows, no more

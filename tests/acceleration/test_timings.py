"""What was timed before is remembered by this machine, beside what others wrote."""

import json

import pytest

from rarefy.acceleration import _timings
from rarefy.acceleration._timings import Timings, bucket, machine, timings


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "timings.json"


def test_what_is_put_is_known_if_all_of_it_is(path):
    known = Timings(path)
    known.put("k", {"dense": 1.0})
    assert known.get("k", ("dense",)) == {"dense": 1.0}
    assert known.get("k", ("dense", "sparse")) is None
    assert known.get("other", ("dense",)) is None
    known.put("k", {"sparse": 2.0})
    assert known.get("k", ("dense", "sparse")) == {"dense": 1.0, "sparse": 2.0}


def test_saved_timings_come_back_beside_those_of_others(path):
    one, other = Timings(path), Timings(path)
    one.put("a", {"dense": 1.0})
    one.save()
    other.put("b", {"dense": 2.0})
    other.save()
    found = Timings(path)
    assert found.get("a", ("dense",)) == {"dense": 1.0}
    assert found.get("b", ("dense",)) == {"dense": 2.0}
    assert [p.name for p in path.parent.iterdir()] == ["timings.json"]


def test_nothing_new_writes_nothing(path):
    Timings(path).save()
    Timings(None).save()
    assert not path.parent.exists()


@pytest.mark.parametrize(
    "change",
    [{"version": 0}, {"machine": "another"}, {"seconds": []}, None],
    ids=["version", "machine", "kind", "no json"],
)
def test_files_of_another_kind_or_machine_count_as_empty(path, change):
    known = Timings(path)
    known.put("a", {"dense": 1.0})
    known.save()
    good = json.loads(path.read_text())
    path.write_text("{" if change is None else json.dumps({**good, **change}))
    assert Timings(path).get("a", ("dense",)) is None


@pytest.mark.parametrize("seconds", [0, -1, True, "1", None, float("inf")])
def test_rows_that_are_no_seconds_are_left_out(path, seconds):
    path.parent.mkdir()
    rows = {"good": {"dense": 1}, "bad": {"dense": seconds}}
    path.write_text(json.dumps({"version": 1, "machine": machine(), "seconds": rows}))
    assert Timings(path).get("good", ("dense",)) == {"dense": 1}
    assert Timings(path).get("bad", ("dense",)) is None


def test_a_folder_that_cannot_be_written_is_left(tmp_path):
    (tmp_path / "file").write_text("")
    known = Timings(tmp_path / "file" / "timings.json")
    known.put("a", {"dense": 1.0})
    known.save()
    assert known.get("a", ("dense",)) == {"dense": 1.0}


def test_the_oldest_entries_make_room(path, monkeypatch):
    monkeypatch.setattr(_timings, "_MOST", 2)
    known = Timings(path)
    for key in "abc":
        known.put(key, {"dense": 1.0})
    known.save()
    assert set(json.loads(path.read_text())["seconds"]) == {"b", "c"}


def test_the_setting_says_where(tmp_path, monkeypatch):
    assert timings().path is None
    monkeypatch.setenv("RAREFY_TIMINGS", str(tmp_path))
    assert timings().path == tmp_path / "timings.json"
    assert timings() is timings()


def test_densities_that_are_near_share_a_bucket():
    assert bucket(0.5) == 0.5
    assert bucket(0.5) == bucket(0.52) == bucket(0.48)  # half a step of 9 % to both sides
    assert bucket(0.5) != bucket(0.53)
    assert bucket(0.25) != bucket(0.27)
    assert bucket(0.0) == 0.0

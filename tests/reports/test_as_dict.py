"""A report as plain data."""

import json
from dataclasses import replace

from rarefy.reports import report
from rarefy.reports._as_dict import finite

KEYS = (
    "format name kind state meaning method words step totals weights bytes flops latency "
    "accelerated training scores history absent"
)


def test_it_is_json_and_has_the_documented_keys(full):
    found = json.loads(json.dumps(full.to_dict(), allow_nan=False))
    assert list(found) == KEYS.split()
    assert found["totals"]["kept"] == 15
    flops = {"dense": 360, "effective": 90, "other": 0, "batch": 3, "not_counted": {}}
    assert found["flops"] == flops
    assert set(found["latency"]) == {"this", "dense", "times_as_fast"}
    assert found["latency"]["this"]["rounds"] >= 5
    assert found["scores"] == {"this": {"accuracy": 0.5}, "dense": {"accuracy": 0.5}}
    assert found["bytes"]["dense"] == found["bytes"]["reference"] == 4 * 68
    first = found["weights"][0]
    assert (first["names"], first["shape"], first["size"]) == (["0.weight"], [6, 8], 48)
    assert first["bytes"]["bitmask"] == 6 + 4 * first["kept"]
    assert first["flops"]["dense"] == 2 * 3 * 48
    assert sum(first["histogram"]["counts"]) == first["kept"]


def test_what_was_accelerated_is_told(quick):
    found = json.loads(json.dumps(quick.to_dict(), allow_nan=False))
    assert set(found["latency"]) == {
        "this", "dense", "fast", "times_as_fast", "fast_times_as_fast",
    }  # fmt: skip
    assert found["latency"]["fast_times_as_fast"] == {"lower": 4.0, "median": 4.0, "upper": 4.0}
    assert [row["kept"] for row in found["accelerated"]] == [True, False]
    alone = replace(quick, latency={w: t for w, t in quick.latency.items() if w != "dense"})
    assert set(alone.to_dict()["latency"]) == {"this", "fast", "fast_times_as_fast"}


def test_what_is_not_known_is_none(trained):
    found = report(trained).to_dict()
    assert (found["flops"], found["latency"], found["bytes"]["file"]) == (None, None, None)
    assert found["weights"][0]["flops"] is None


def test_numbers_that_json_cannot_say_become_none():
    assert finite({"a": (1.5, float("nan")), "b": [{"c": float("inf")}]}) == {
        "a": [1.5, None],
        "b": [{"c": None}],
    }

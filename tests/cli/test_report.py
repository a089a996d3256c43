"""``rarefy report``."""

import json


def test_it_reports_on_a_file(as_json, rarefy_, sparse_file):
    found = as_json("report", sparse_file)
    assert found["totals"]["kept"] == 15
    assert "page" not in found
    shown = rarefy_("report", sparse_file).stdout
    assert "15 of 60 kept" in shown


def test_it_writes_the_page(as_json, rarefy_, sparse_file, tmp_path):
    assert as_json("report", sparse_file, "--html", "page.html")["page"] == "page.html"
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "Page: page.html" in rarefy_("report", sparse_file, "--html", "page.html").stdout


def test_it_reports_on_a_run(as_json, sparse_file, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    sparse_file.rename(folder / "model.safetensors")
    about = {"format": 1, "method": "gmp", "steps": 7, "score": {"accuracy": 0.5}, "history": []}
    (folder / "run.json").write_text(json.dumps(about))
    found = as_json("report", folder)
    assert (found["kind"], found["method"], found["step"]) == ("run", "gmp", 7)
    assert found["scores"]["this"] == {"accuracy": 0.5}


def test_what_is_no_run_is_told(rarefy_, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "is no run" in rarefy_("report", "empty", code=1).stderr

"""``rarefy demo``, with few steps here and in full from a process of its own."""

import importlib.util
import json
import subprocess
import sys

import pytest

import rarefy


def test_it_shows_the_four_methods_and_where_things_are(rarefy_, tmp_path):
    shown = rarefy_("demo", "--epochs", "1", "--seeds", "1").stdout
    assert all(name in shown for name in ("dense", "gmp", "rigl", "static"))
    assert "5,020" in shown
    assert "run dense" in shown
    folder = tmp_path / "runs" / "demo-digits"
    assert (folder / "report.html").is_file()
    assert rarefy.report(folder / "rigl").counts.kept == 5020


def test_json_is_the_demos_own(as_json):
    found = as_json("demo", "--epochs", "1", "--seeds", "1", "--sparsity", "0.5", "--out", "here")
    assert (found["task"], found["sparsity"], found["steps"]) == ("digits", 0.5, 44)
    assert found["methods"]["gmp"]["kept"] == 25_100
    assert found["folder"] == "here"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "mnist"], "digits, fashion"),
        (["--sparsity", "90"], "Did you mean 0.9?"),
        (["--seeds", "0"], "seeds"),
        (["--task", "fashion", "--data", "."], "Fashion-MNIST is not here"),
    ],
)
def test_what_cannot_be_is_refused(rarefy_, words, said):
    assert said in rarefy_("demo", *words, code=1).stderr


@pytest.mark.parametrize("missing", ["sklearn", "plotly"])
def test_without_its_extra_it_says_in_one_line_what_to_install(rarefy_, monkeypatch, missing):
    if missing == "sklearn":
        from rarefy.lab.tasks import _digits

        _digits._data.cache_clear()
        monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    else:
        whole = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == missing else whole(name)
        )
    result = rarefy_("demo", code=1)
    assert result.stdout == ""
    assert "pip install 'rarefy[demo]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_default_demo_from_end_to_end(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-m", "rarefy", "demo", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    found = json.loads(answer.stdout)
    methods = found["methods"]
    assert [len(each["accuracy"]) for each in methods.values()] == [3, 3, 3, 3]
    assert methods["dense"]["accuracy_mean"] > 0.9
    # What the demo is there to show, with a point of grace: other machines round otherwise.
    assert methods["gmp"]["accuracy_mean"] > methods["static"]["accuracy_mean"]
    assert methods["rigl"]["accuracy_mean"] > methods["static"]["accuracy_mean"] - 0.01
    for name in ("gmp", "rigl", "static"):
        assert methods[name]["kept"] == 5020
        assert methods[name]["bytes"] < 0.16 * methods["dense"]["bytes"]
        assert methods[name]["flops"] < 0.11 * methods["dense"]["flops"]
    page = (tmp_path / found["page"]).read_text(encoding="utf-8")
    assert "rarefy demo: digits" in page


def test_compressed_is_an_option(as_json):
    words = ("demo", "--epochs", "1", "--seeds", "1", "--storage", "compressed", "--out", "here")
    methods = as_json(*words)["methods"]
    kinds = {name: each["training"]["storage"] for name, each in methods.items()}
    assert (kinds["dense"], kinds["gmp"]) == ("dense", "masked")
    assert (kinds["rigl"], kinds["static"]) == ("compressed", "compressed")
    held = {name: each["training"]["bytes"]["total"] for name, each in methods.items()}
    assert held["rigl"] < 0.2 * held["dense"] < held["gmp"]

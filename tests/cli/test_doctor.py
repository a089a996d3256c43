"""``rarefy doctor``."""

import subprocess
import sys
from importlib import metadata

import pytest
import torch

from rarefy import _native
from rarefy.cli import _doctor
from rarefy.kernels import _program


def test_it_says_what_is_here(as_json, rarefy_):
    found = as_json("doctor")
    assert found["torch"]["version"] == torch.__version__
    assert found["torch"]["threads"] == torch.get_num_threads()
    assert found["kernels"]["set"] == _native.kernel_set()
    assert found["kernels"]["status"] == _native.status()
    assert set(found["extras"]) == {"bench", "data", "demo", "onnx", "plot", "transformers"}
    assert found["cpu"]["cores"] >= 1
    shown = rarefy_("doctor").stdout
    assert found["advice"][:20] in shown
    assert found["kernels"]["status"][:40] in shown


def test_it_says_what_each_runtime_lacks(as_json, rarefy_, monkeypatch):
    monkeypatch.setattr(
        "rarefy.lab.speed._runtimes.find_spec", lambda name: name != "scipy" or None
    )
    found = as_json("doctor")["runtimes"]
    assert list(found) == ["onnxruntime", "openvino", "scipy", "deepsparse"]
    assert found["scipy"] == {"missing": ["scipy"], "versions": {}}
    assert found["openvino"]["missing"] == []
    assert set(found["openvino"]["versions"]) == {"openvino"}
    assert "scipy: pip install scipy" in rarefy_("doctor").stdout


def test_every_step_of_a_plan_is_tried():
    assert set(_doctor._STEPS) == set(_program._FORMS) - {"input", "output"}


def test_a_step_that_was_switched_off_is_shown(as_json, rarefy_, monkeypatch):
    # As if the trial of one step had failed; what the doctor tries itself finds nothing new.
    monkeypatch.setattr(_native, "_disabled", {"step gelu": "step gelu is switched off: why"})
    found = as_json("doctor")
    assert "step gelu is switched off: why" in found["kernels"]["switched_off"]
    assert "please report it" in found["advice"]
    assert "step gelu is switched off: why" in rarefy_("doctor").stdout


@pytest.mark.parametrize(
    ("can", "said"),
    [
        (lambda: 1, "code is written for each weight"),
        (lambda: 0, "it takes AVX-512"),
        (None, "there are no compiled kernels"),
    ],
)
def test_whether_code_is_generated_is_told(rarefy_, monkeypatch, can, said):
    whole = _native.function
    monkeypatch.setattr(
        _native,
        "function",
        lambda name, *rest: can if name == "rarefy_can_emit" else whole(name, *rest),
    )
    assert said in rarefy_("doctor").stdout


def healthy(**more):
    return {
        "kernels": {"set": "v3", "status": "compiled kernels, set v3"},
        "cpu": {"cores": 4},
        "torch": {"threads": 4},
        "extras": {"demo": [], "onnx": ["onnx"]},
        **more,
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "All well"),
        ({"kernels": {"set": None, "status": "RAREFY_KERNELS is 'x'"}}, "Unset RAREFY_KERNELS"),
        ({"kernels": {"set": "reference", "status": "no library"}}, "C++17"),
        ({"kernels": {"set": "v3", "switched_off": ["k is switched off"]}}, "report it"),
        ({"torch": {"threads": 8}}, "OMP_NUM_THREADS=4"),
        ({"extras": {"demo": ["plotly"]}}, "pip install 'rarefy[demo]'"),
    ],
)
def test_the_advice_follows_from_what_is_found(monkeypatch, more, said):
    monkeypatch.delenv("RAREFY_KERNELS", raising=False)
    assert said in _doctor._advice(healthy(**more))


def test_the_reference_is_no_fault_where_it_was_asked_for(monkeypatch):
    monkeypatch.setenv("RAREFY_KERNELS", "reference")
    kernels = {"set": "reference", "status": "RAREFY_KERNELS asks for them"}
    assert "All well" in _doctor._advice(healthy(kernels=kernels))


def test_extras_name_what_they_lack(monkeypatch):
    def version(package):
        if package == "plotly":
            raise metadata.PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    found = _doctor._extras()
    assert found["demo"] == ["plotly"]
    assert found["plot"] == ["plotly"]
    assert found["data"] == []


@pytest.mark.slow
def test_a_kernel_set_that_is_not_there_is_told_and_no_error():
    answer = subprocess.run(
        [sys.executable, "-m", "rarefy", "doctor"],
        env={**__import__("os").environ, "RAREFY_KERNELS": "v9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "RAREFY_KERNELS is 'v9'" in answer.stdout
    assert "Unset RAREFY_KERNELS" in answer.stdout

"""The rules of the house, checked."""

import ast
import importlib
import inspect
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SOURCE = ROOT / "src" / "rarefy"
FILES = sorted(SOURCE.rglob("*.py"))
OTHERS = sorted(f for d in ("tests", "benchmarks", "examples") for f in (ROOT / d).rglob("*.py"))
ROOMS = sorted(f.parent for f in SOURCE.glob("*/**/__init__.py"))
FLOOR_2 = {
    "patterns",
    "scores",
    "allocation",
    "schedules",
    "growth",
    "penalties",
    "surrogates",
}
JUNK = {"util", "utils", "helper", "helpers", "common", "misc"}
HEAVY = {"rich", "typer", "plotly", "sklearn", "matplotlib", "torchvision", "transformers"}
SLOW_TO_LOAD = {"torch._dynamo", "torch._inductor", "sympy"}

every_file = pytest.mark.parametrize("path", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
every_text = pytest.mark.parametrize(
    "path", FILES + OTHERS, ids=lambda f: str(f.relative_to(ROOT)).removeprefix("src/rarefy/")
)
every_room = pytest.mark.parametrize("room", ROOMS, ids=lambda f: str(f.relative_to(SOURCE)))


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_by(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def uses_nets(name):
    return name.startswith(("torch.nn", "torch.optim", "torch.distributed"))


def test_there_is_a_house():
    assert len(FILES) > 20
    assert {"patterns", "scores", "training"} <= {room.name for room in ROOMS}


@every_text
def test_a_file_is_short_well_named_and_introduced(path):
    text = path.read_text(encoding="utf-8")
    assert path.stem.strip("_") not in JUNK, "name the file after what is in it"
    assert len(text.splitlines()) <= 300
    introduction = ast.get_docstring(ast.parse(text))
    assert introduction, "open with one sentence: the file's job"
    assert introduction.split("\n\n")[0].rstrip().endswith((".", ":", "?", "``"))


@every_text
def test_a_function_fits_on_a_screen(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and node.body[1:] else node.body
            # What is read as code: signature and docstring are as long as the promise needs.
            assert node.end_lineno - body[0].lineno < 50, f"{node.name} is too long"


@every_file
def test_a_file_in_a_room_is_private(path):
    if path.parent == SOURCE:
        return
    assert path.name.startswith("_"), "files are private, their room is public"


@every_file
def test_floor_2_never_sees_a_module(path):
    if path.relative_to(SOURCE).parts[0].removesuffix(".py") not in FLOOR_2:
        return
    assert not [name for name in imported_by(path) if uses_nets(name)]


def test_the_floor_2_rule_sees_each_way_to_import(tmp_path):
    for line in (
        "from torch import nn",
        "import torch.nn.functional as f",
        "from torch.nn import Module",
    ):
        (tmp_path / "x.py").write_text(line)
        assert any(uses_nets(name) for name in imported_by(tmp_path / "x.py")), line


@every_room
def test_a_room_lists_what_it_has(room):
    module = importlib.import_module(".".join(room.relative_to(SOURCE.parent).parts))
    listed = module.__all__
    assert list(listed) == sorted(set(listed))
    assert all(hasattr(module, name) for name in listed)
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public <= set(listed), "an exported name is missing in __all__"


@every_room
def test_a_room_lists_one_name_a_line(room):
    text = (room / "__init__.py").read_text(encoding="utf-8")
    names = re.search(r"__all__ = \[(.*?)\]", text, re.DOTALL).group(1).strip().splitlines()
    assert all(line.count('"') == 2 for line in names)


def test_the_front_door_lists_what_it_has():
    rarefy = importlib.import_module("rarefy")
    assert list(rarefy.__all__) == sorted(set(rarefy.__all__))
    assert all(hasattr(rarefy, name) for name in rarefy.__all__)


def test_no_room_has_the_name_of_a_public_function():
    rarefy = importlib.import_module("rarefy")
    rooms = {room.name for room in ROOMS if room.parent == SOURCE} | {
        f.stem for f in SOURCE.glob("[a-z]*.py")
    }
    for name in rooms & set(rarefy.__all__):
        assert inspect.ismodule(getattr(rarefy, name)), f"rarefy.{name} hides the room"


@every_file
def test_a_file_has_its_test(path):
    if path.stem in ("__init__", "__main__", "_types"):  # wiring, and words without behaviour
        return
    inside = path.relative_to(SOURCE).parent
    wanted = ROOT / "tests" / inside / f"test_{path.stem.removeprefix('_')}.py"
    assert wanted.is_file(), f"add {wanted.relative_to(ROOT)}"


def test_a_named_method_has_its_card():
    methods = importlib.import_module("rarefy.methods")
    names = [n.rstrip("_") for n in methods.__all__ if inspect.isfunction(getattr(methods, n))]
    assert len(names) >= 6
    missing = [n for n in names if not (ROOT / "docs" / "methods" / f"{n}.md").is_file()]
    assert not missing


def run_fresh(program):
    answer = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split()


def test_the_import_loads_nothing_heavy():
    loaded = set(
        run_fresh(
            "import torch, sys; before = set(sys.modules); import rarefy; "
            "print(*(set(sys.modules) - before))"
        )
    )
    assert "rarefy.training" in loaded
    assert not {name for name in loaded if name.split(".")[0] in HEAVY}
    assert not loaded & SLOW_TO_LOAD, "import it in the function that needs it"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are listed in /proc")
def test_the_import_starts_no_thread():
    count = "len(os.listdir('/proc/self/task'))"
    before, after, python = run_fresh(
        f"import os, threading, torch; print({count}); import rarefy; "
        f"print({count}, threading.active_count())"
    )
    assert after == before
    assert python == "1"

"""The demonstration: one network trained dense and three ways sparse, at the same budget."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from rarefy.errors import BudgetError, InvariantError, MissingExtra
from rarefy.files import load
from rarefy.front import accelerate
from rarefy.lab._demonstration import Demo
from rarefy.lab._fast import on_kernels
from rarefy.lab._folder import RunFolder, make_folder, write_json
from rarefy.lab._one_thread import one_thread
from rarefy.lab._run import run
from rarefy.lab._setup import DENSE, Outcome, setup_of
from rarefy.lab.tasks import Task, digits
from rarefy.reports import Report, compare_runs, report

_FROM_DENSE = (DENSE, "gmp")
"""What starts with all weights, so that there is nothing to compress while it trains."""
METHODS = (DENSE, "gmp", "rigl", "static")
"""The control, pruned while it trains, trained sparse, and a random mask: what all must beat."""

Watch = Callable[[str, int, int], None]
"""``watch(doing, step, steps)``: what is being done, and the steps of all runs so far."""


def demo(
    task: Task | None = None,
    *,
    sparsity: float = 0.9,
    storage: str = "masked",
    seeds: int = 3,
    epochs: int | None = None,
    out: str | Path | None = None,
    watch: Watch | None = None,
) -> Demo:
    """Train dense, by GMP, by RigL and on a random static mask; measure, save and compare.

    For each seed the four start from the same weights, see the same batches in the same order and
    take the same number of steps. The models of the first seed are saved, read back, and measured.

    Args:
        task: Digits unless given.
        sparsity: Share of the weights removed, in [0, 1).
        storage: How RigL and the static mask are trained: ``"masked"``, which is simulated, or
            ``"compressed"``. GMP starts dense, so it is masked in any case.
        seeds: Runs of each method; 0, 1, 2 and so on.
        epochs: Passes over the data; without it the task's own.
        out: Folder for models, records and the page; without it ``runs/demo-`` and the task.
        watch: Told of each step.

    Raises:
        MissingExtra: scikit-learn or plotly is not installed.
        BudgetError: ``sparsity`` or ``seeds`` cannot be met.
        FileError: ``out`` cannot be written.
    """
    begin = time.perf_counter()
    _require_plotly()
    if seeds < 1:
        raise BudgetError(f"seeds is how often each method is run, 1 or more; found {seeds!r}.")
    task = task or digits()
    folder = Path(out) if out is not None else Path("runs") / f"demo-{task.name}"
    make_folder(folder)
    total = task.steps(epochs) * len(METHODS) * seeds
    reports: dict[str, Report] = {}
    scores: dict[str, list[float]] = {name: [] for name in METHODS}
    models: dict[str, nn.Module] = {}
    done = 0
    for seed in range(seeds):
        for name in METHODS:
            setup = setup_of(
                task,
                name,
                0.0 if name == DENSE else sparsity,
                seed=seed,
                epochs=epochs,
                storage="masked" if name in _FROM_DENSE else storage,
            )
            told = watch and partial(_told, watch, f"{name}, seed {seed}", done, total)
            outcome = run(setup, watch=told)
            done += outcome.sparsifier.step
            scores[name].append(outcome.score["accuracy"])
            if seed == 0:
                RunFolder(folder / name).write(outcome)
                models[name] = _plain(task, outcome, RunFolder(folder / name))
                reports[name] = _measured(
                    task, outcome, RunFolder(folder / name), models[name], models[DENSE]
                )
    made = Demo(
        task=task,
        sparsity=sparsity,
        steps=task.steps(epochs),
        accuracy={name: tuple(found) for name, found in scores.items()},
        comparison=compare_runs(reports),
        kernels=on_kernels(models, task.example()),
        folder=folder,
        seconds=time.perf_counter() - begin,
    )
    made.comparison.html(made.page, title=f"rarefy demo: {task.name}", note=_note(seeds))
    write_json(folder / "demo.json", made.to_dict())
    return made


def _note(seeds: int) -> str:
    if seeds == 1:
        return "Everything here is of seed 0, the only one."
    return (
        f"Everything here is of seed 0 of {seeds}; the table in the terminal and demo.json give "
        f"the mean accuracy of all {seeds}."
    )


def _told(watch: Watch, doing: str, before: int, total: int, step: int, steps: int) -> None:
    del steps
    watch(doing, before + step, total)


def _plain(task: Task, outcome: Outcome, folder: RunFolder) -> nn.Module:
    """The model with dense weights, zeros and all: the file gives back the same bits."""
    path = folder.weights
    again = load(path, task.build(seed=outcome.setup.seed + 1))
    state = outcome.sparsifier.dense_state_dict()
    odd = [key for key, read in again.state_dict().items() if not torch.equal(read, state[key])]
    if odd:
        raise InvariantError(f"{path} gave back other values of {odd[0]} than were saved.")
    return outcome.model if outcome.setup.storage == "masked" else again


def _measured(
    task: Task, outcome: Outcome, folder: RunFolder, plain: nn.Module, dense: nn.Module
) -> Report:
    """The report of the model that was saved."""
    path = folder.weights
    is_dense = outcome.setup.method == DENSE
    with one_thread():
        found = report(
            outcome.sparsifier,
            task.example(),
            evaluate=task.evaluate,
            dense=None if is_dense else dense,
            fast=accelerate(plain, task.example()),
        )
    named = replace(
        found, name=f"{task.name}-{outcome.setup.method}", file_bytes=path.stat().st_size
    )
    return replace(named, method=None, words={}) if is_dense else named


def _require_plotly() -> None:
    if importlib.util.find_spec("plotly") is None:
        raise MissingExtra(
            "the demo draws with plotly, which is not installed: pip install 'rarefy[demo]'"
        )

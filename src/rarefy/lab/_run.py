"""Carries out one run: builds, trains sparse, scores; goes on where one was stopped."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from rarefy.errors import AttachError, ScoreError
from rarefy.front import hold, sparsify
from rarefy.lab._checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from rarefy.lab._folder import make_folder
from rarefy.lab._setup import DENSE, Outcome, Setup
from rarefy.metrics import TrainingMeter, undisturbed
from rarefy.reports import Training, training_of
from rarefy.targets import find, unwrap, weight_of
from rarefy.training import Sparsifier

Watch = Callable[[int, int], None]
"""``watch(step, steps)``, after each step."""

_CHECKPOINTS = 20
"""Times that the state is saved in a run."""


def run(
    setup: Setup,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    watch: Watch | None = None,
    metered: bool = False,
) -> Outcome:
    """Build, train and score, as ``setup`` says.

    Args:
        setup: The run.
        checkpoint: File to save the state to, before the first step and twenty times in the run;
            its folder is made. Gone when the run has ended. A run that is killed and resumed from
            it equals one that was not, bit for bit, where ``train`` keeps its promise about
            ``start``.
        resume: Go on from ``checkpoint``, if it is there.
        watch: Told of each step.
        metered: Time every step by part, into the outcome's ``training``.

    Raises:
        AttachError: ``train`` never called ``attach``, or called it twice.
        StateError: The checkpoint is of another run.
        FileError: The checkpoint cannot be read or written.
        ScoreError: ``evaluate`` gave something that is no number.
    """
    model = setup.build()
    found = read_checkpoint(checkpoint, setup) if checkpoint and resume else None
    driver = _Driver(setup, model, found, checkpoint, watch)
    driver.metered = metered
    begin = time.perf_counter()
    if found is None:
        setup.train(model, driver.attach)
    else:
        setup.train(model, driver.attach, start=found.step)
    seconds = time.perf_counter() - begin
    sparsifier, training = driver.finished()
    score = {} if setup.evaluate is None else _scored(setup.evaluate, model)
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return Outcome(
        setup=setup,
        model=unwrap(model),
        sparsifier=sparsifier,
        score=score,
        seconds=seconds,
        training=training,
    )


class _Driver:
    """Is there when ``train`` calls ``attach``, and after every step."""

    metered = False
    """Whether a meter is switched on from attaching to the end."""
    _meter: TrainingMeter | None = None

    def __init__(
        self,
        setup: Setup,
        model: nn.Module,
        found: Checkpoint | None,
        checkpoint: Path | None,
        watch: Watch | None,
    ) -> None:
        self._setup = setup
        self._model = model
        self._found = found
        self._checkpoint = checkpoint
        self._watch = watch
        self._sparsifier: Sparsifier | None = None
        self._optimizers: list[Any] = []
        self._steps = 0

    def attach(self, optimizer: Any, steps: int) -> Sparsifier:  # noqa: ANN401 - an optimizer, several, or a wrapper
        """What the training function calls before its loop."""
        if self._sparsifier is not None:
            raise AttachError("train() called attach() twice. Call it once, before the loop.")
        sparsifier = self._sparsify(optimizer, steps)
        self._optimizers = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
        self._steps = steps
        if self._found is not None:
            self._found.restore(steps, self._model, self._optimizers, sparsifier)
        # After the last of several optimizers has stepped, the state is that of a whole step.
        _plain(self._optimizers[-1]).register_step_post_hook(self._stepped)
        self._sparsifier = sparsifier
        if self.metered:
            self._meter = TrainingMeter(sparsifier).__enter__()
        if self._checkpoint is not None:
            # Now, because a folder that cannot be written should be known before the training.
            make_folder(self._checkpoint.parent)
            self._save(self._checkpoint, sparsifier)
        return sparsifier

    def finished(self) -> tuple[Sparsifier, Training | None]:
        """The Sparsifier, checked; it holds the zeros until its ``finalize()``. What it cost."""
        if self._sparsifier is None:
            raise AttachError(
                "train(model, attach, start=0) has ended without calling attach. Call "
                "attach(optimizer, steps=n) once, before the loop, with the number of steps that "
                "will be taken."
            )
        if self._meter is not None:
            self._meter.__exit__()
        self._sparsifier.check()
        return self._sparsifier, training_of(self._sparsifier, None, self._meter)

    def _sparsify(self, optimizer: Any, steps: int) -> Sparsifier:  # noqa: ANN401 - as above
        setup = self._setup
        if setup.method == DENSE:
            # Masks that keep everything change nothing, and the run is recorded like any other.
            plain = unwrap(self._model)
            whole = {
                name: torch.ones_like(weight_of(plain, name), dtype=torch.bool)
                for name in find(plain)
            }
            return hold(self._model, optimizer=optimizer, masks=whole)
        return sparsify(
            self._model,
            setup.sparsity,
            setup.method,
            optimizer=optimizer,
            steps=steps,
            data=None if setup.data is None else setup.data(),
            seed=setup.seed,
            storage=setup.storage,
            **setup.words,
        )

    def _stepped(self, *_: object) -> None:
        sparsifier = self._sparsifier
        if sparsifier is None:
            return
        if self._watch is not None:
            self._watch(sparsifier.step, self._steps)
        due = sparsifier.step % max(1, self._steps // _CHECKPOINTS) == 0
        if self._checkpoint is not None and due:
            self._save(self._checkpoint, sparsifier)

    def _save(self, path: Path, sparsifier: Sparsifier) -> None:
        now = Checkpoint.of(self._setup, self._steps, self._model, self._optimizers, sparsifier)
        write_checkpoint(path, now)


def _plain(optimizer: Any) -> Optimizer:  # noqa: ANN401 - an optimizer or a wrapper of one
    while not isinstance(optimizer, Optimizer):
        optimizer = optimizer.optimizer
    return optimizer


def _scored(
    evaluate: Callable[[nn.Module], float | Mapping[str, float]], model: nn.Module
) -> dict[str, float]:
    with undisturbed(model), torch.no_grad():
        found = evaluate(model)
    named = found if isinstance(found, Mapping) else {"score": found}
    try:
        return {str(name): float(number) for name, number in named.items()}
    except (TypeError, ValueError) as error:
        raise ScoreError(
            f"evaluate(model) gave {found!r}. Let it return a number, or numbers by name."
        ) from error

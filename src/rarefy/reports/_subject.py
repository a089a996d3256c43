"""``report``: finds out what it was given, and makes the Report."""

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path

from torch import nn

from rarefy.errors import TargetError
from rarefy.metrics import Example, TrainingMeter
from rarefy.reports._of_file import of_file, of_run
from rarefy.reports._of_model import of_model
from rarefy.reports._report import Report
from rarefy.training import Sparsifier, sparsifier_of

Evaluate = Callable[[nn.Module], float | Mapping[str, float]]
"""Model to a number, or to numbers by name."""


def report(
    subject: nn.Module | Sparsifier | str | PathLike[str],
    example: Example = None,
    *,
    evaluate: Evaluate | None = None,
    dense: nn.Module | None = None,
    fast: nn.Module | None = None,
    meter: TrainingMeter | None = None,
) -> Report:
    """What ``subject`` is, holds, costs and scores. Nothing in it is changed, not even its mode.

    Args:
        subject: A model, its Sparsifier, a file written by ``rarefy.save`` (any safetensors file),
            or the folder of a run.
        example: A tensor, a tuple of positional arguments, or a mapping of keyword arguments.
            Needed for FLOPs and latency.
        evaluate: Model to its score: a number, or numbers by name. Run in evaluation mode.
        dense: A dense reference. It is scored too, and timed in turns with the subject.
        fast: What ``rarefy.accelerate`` made of the subject. It is timed in turns with it, and the
            report says which layers run sparse, and why the others do not.
        meter: What was switched on around the training loop: time by part, updates and the most
            memory come into the report of its Sparsifier.

    Raises:
        TargetError: There is nothing to report on, or a file was given with what needs a model.
        ScoreError: ``evaluate`` gave something that is no number.
        FileError: The file or folder cannot be read.
    """
    if isinstance(subject, str | PathLike):
        if any(given is not None for given in (example, evaluate, dense, fast, meter)):
            raise TargetError(
                f"{subject} holds weights but no code, so it cannot be run: example, evaluate, "
                "dense and fast need a model. Build one, model = rarefy.load(path, model), and "
                "report(model)"
            )
        path = Path(subject)
        return of_run(path) if path.is_dir() else of_file(path)
    if isinstance(subject, Sparsifier):
        return of_model(subject.model, subject, example, evaluate, dense, fast, meter)
    if isinstance(subject, nn.Module):
        return of_model(subject, sparsifier_of(subject), example, evaluate, dense, fast, meter)
    raise TargetError(
        f"report() takes a model, a Sparsifier, or the path of a file or run; found "
        f"{type(subject).__name__}."
    )

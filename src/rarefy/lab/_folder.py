"""A run as a folder: ``run.json`` says what happened, ``model.safetensors`` holds the weights."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as packed
from torch import nn

from rarefy.errors import FileError
from rarefy.files import save
from rarefy.lab._setup import DENSE, Outcome

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @property
    def record(self) -> Path:
        """What happened, as JSON; there once the run has ended."""
        return self.path / "run.json"

    @property
    def weights(self) -> Path:
        """The model."""
        return self.path / "model.safetensors"

    @property
    def checkpoint(self) -> Path:
        """The state of a run that has not ended."""
        return self.path / "checkpoint.pt"

    def write(self, outcome: Outcome) -> None:
        """Write the run; each of its two files is replaced whole or not at all.

        The dense control is an ordinary safetensors file, every other model is one of ours.

        Raises:
            FileError: The folder or a file cannot be written.
        """
        make_folder(self.path)
        _write_weights(self.weights, outcome)
        write_json(self.record, about(outcome))


def make_folder(folder: Path) -> None:
    """See that ``folder`` is there.

    Raises:
        FileError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"the folder {folder} cannot be made: {error.strerror or error}. Choose another."
        ) from error


def about(outcome: Outcome) -> dict[str, Any]:
    """What ``run.json`` holds: plain data; a number that is not finite is None."""
    setup, sparsifier = outcome.setup, outcome.sparsifier
    dense = setup.method == DENSE
    return {
        "format": _FORMAT,
        "task": setup.task,
        "method": DENSE if dense else sparsifier.method,
        "sparsity": setup.sparsity,
        "kept": sparsifier.masks.kept,
        "size": sparsifier.masks.size,
        "steps": sparsifier.step,
        "seed": setup.seed,
        "seconds": outcome.seconds,
        "score": finite(outcome.score),
        "training": finite(outcome.training.plain()) if outcome.training else None,
        "words": {} if dense else sparsifier.words,
        "history": finite([dict(record) for record in sparsifier.history]),
    }


def finite(content: Any) -> Any:  # noqa: ANN401 - plain data of any depth
    """The same plain data, with None for every number that JSON has no word for."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401 - plain data
    """Write ``content`` as JSON, whole or not at all.

    Raises:
        FileError: The operating system would not write.
    """
    part = _part(path)
    try:
        part.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FileError(f"{path} could not be written: {error.strerror or error}.") from error


def _write_weights(path: Path, outcome: Outcome) -> None:
    if outcome.setup.method != DENSE:
        save(outcome.model, path)
        return
    part = _part(path)
    try:
        part.write_bytes(packed(_plain_state(outcome.model)))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FileError(f"{path} could not be written: {error.strerror or error}.") from error


def _plain_state(model: nn.Module) -> dict[str, torch.Tensor]:
    # Copies, because safetensors refuses tensors that share memory, as tied weights do.
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")

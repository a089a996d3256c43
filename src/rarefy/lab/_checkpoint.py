"""The state of a run that has not ended: all it needs to go on, in one file of plain data."""

import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rarefy.errors import FileError, StateError
from rarefy.lab._setup import Setup
from rarefy.training import Sparsifier

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """State after a whole step."""

    setup: dict[str, str]
    """The run's settings, which must be the same when it goes on."""
    step: int
    steps: int
    model: dict[str, Tensor]
    optimizers: list[dict[str, Any]]
    sparsifier: dict[str, Any]
    random: Tensor
    """torch's global random state on the CPU, for training loops that draw from it."""

    @classmethod
    def of(
        cls,
        setup: Setup,
        steps: int,
        model: nn.Module,
        optimizers: Sequence[Any],
        sparsifier: Sparsifier,
    ) -> "Checkpoint":
        """The state as it is now; tensors are those of the run, not copies."""
        return cls(
            setup=settings(setup),
            step=sparsifier.step,
            steps=steps,
            model=model.state_dict(),
            optimizers=[optimizer.state_dict() for optimizer in optimizers],
            sparsifier=sparsifier.state_dict(),
            random=torch.get_rng_state(),
        )

    def restore(
        self, steps: int, model: nn.Module, optimizers: Sequence[Any], sparsifier: Sparsifier
    ) -> None:
        """Put the state back, after ``rarefy.sparsify`` as before.

        Raises:
            StateError: The run has another length or another number of optimizers.
        """
        if (steps, len(optimizers)) != (self.steps, len(self.optimizers)):
            raise StateError(
                f"the run that was stopped has {self.steps} steps and {len(self.optimizers)} "
                f"optimizers; this one {steps} and {len(optimizers)}. Resume with what it began "
                "with, or start again in another folder."
            )
        model.load_state_dict(self.model)
        for optimizer, state in zip(optimizers, self.optimizers, strict=True):
            optimizer.load_state_dict(state)
        sparsifier.load_state_dict(self.sparsifier)
        torch.set_rng_state(self.random)


def settings(setup: Setup) -> dict[str, str]:
    """What must be the same for two runs to be the same, as text."""
    return {
        "task": setup.task,
        "method": setup.method,
        "sparsity": str(setup.sparsity),
        "seed": str(setup.seed),
        **({} if setup.storage == "masked" else {"storage": setup.storage}),
        **{word: str(value) for word, value in sorted(setup.words.items())},
    }


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the state to ``path``, whole or not at all.

    Raises:
        FileError: The operating system would not write.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    content = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    try:
        with part.open("wb") as file:
            torch.save({"format": _FORMAT, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError where a disk is full
        part.unlink(missing_ok=True)
        raise FileError(f"{path} could not be written: {_first_line(error)}.") from error


def read_checkpoint(path: Path, setup: Setup) -> Checkpoint | None:
    """The state at ``path`` of the run ``setup``; None where there is none.

    Raises:
        FileError: The file is damaged, or holds more than plain data.
        StateError: It is of another run; the setting that differs is named.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise FileError(
            f"{path} is no checkpoint, or is damaged: {_first_line(error)} Start the run again "
            "in another folder."
        ) from error
    wanted = {"format", *Checkpoint.__slots__}
    if not isinstance(content, dict) or set(content) != wanted or content["format"] != _FORMAT:
        raise FileError(f"{path} is no checkpoint of this rarefy. Start the run again.")
    content.pop("format")
    checkpoint = Checkpoint(**content)
    mine = settings(setup)
    odd = sorted(
        word for word in {*mine, *checkpoint.setup} if mine.get(word) != checkpoint.setup.get(word)
    )
    if odd:
        was, none = checkpoint.setup, "not given"
        differing = "; ".join(
            f"{word} was {was.get(word, none)}, is {mine.get(word, none)}" for word in odd
        )
        raise StateError(
            f"{path} is of another run: {differing}. Resume with what it began with, or start "
            "again in another folder."
        )
    return checkpoint


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]

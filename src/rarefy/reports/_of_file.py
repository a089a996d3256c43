"""Reads a file of weights, or the folder of a run, into a Report."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rarefy.errors import FileError
from rarefy.files import Contents, Record, read
from rarefy.metrics import Count, Counts, Dead, dead, sizes
from rarefy.reports._histogram import Histogram, histogram
from rarefy.reports._picture import Picture, picture
from rarefy.reports._report import Report
from rarefy.reports._storage import Storage, storage_of
from rarefy.reports._training import Training, training_from
from rarefy.targets import Target

RUN = "run.json"
WEIGHTS = "model.safetensors"
_FORMAT = 1

_NO_CODE = "a file holds no code to run: report(rarefy.load(path, model), example)"
_STORED = (
    "the file holds the kept values only; loaded into a model, zeros are stored like any number "
    "again and run on dense kernels"
)
_PLAIN = "the zeros are stored like any number: rarefy.save() or rarefy prune would drop them"


def of_file(path: Path) -> Report:
    """The Report of a safetensors file, ours or any other.

    In a file without masks, a zero of a weight with two sides or more is a removed weight.

    Raises:
        FileError: The file cannot be read, or is damaged.
    """
    contents = read(path)
    ours = contents.version is not None
    found = _Found()
    for name, record in contents.records.items():
        tensor, mask = _tensor_and_mask(contents, name, record, ours)
        found.add(name, record, tensor, mask)
        if tensor.is_floating_point() and (mask is not None or tensor.dim() > 1):
            found.storage[name] = storage_of(contents, name, tensor, mask)
    found.counts.sort(key=lambda count: not count.target)
    counts = Counts(tuple(found.counts), found.size, found.nonzero)
    removed = counts.kept != counts.size
    return Report(
        name=path.name,
        kind="file",
        state="masked" if removed else "dense",
        meaning=(_STORED if ours else _PLAIN) if removed else "nothing is removed",
        counts=counts,
        sizes=sizes(counts, found.rest),
        dead=found.dead,
        method=contents.method,
        file_bytes=contents.size,
        histograms=found.histograms,
        pictures=found.pictures,
        storage=found.storage,
        absent={"FLOPs, latency and score": _NO_CODE},
    )


def of_run(folder: Path) -> Report:
    """The Report of a run: its file, and what its ``run.json`` says.

    Raises:
        FileError: The folder is no run, or a part of it is damaged.
    """
    about = _about(folder / RUN)
    base = of_file(folder / WEIGHTS)
    scores = _numbers(about.get("score"))
    absent = {"FLOPs and latency": _NO_CODE}
    if not scores:
        absent["score"] = f"{RUN} has none"
    return replace(
        base,
        name=folder.resolve().name,
        kind="run",
        method=about.get("method") or base.method,
        words={str(key): str(value) for key, value in (about.get("words") or {}).items()},
        step=about.get("steps"),
        scores={"this": scores} if scores else {},
        training=_training(about.get("training"), folder / RUN),
        history=_history(about.get("history") or [], folder / RUN),
        absent=absent,
    )


@dataclass
class _Found:
    """What is gathered from one tensor after another, so that one is in memory at a time."""

    counts: list[Count] = field(default_factory=list)
    dead: dict[str, Dead] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    storage: dict[str, Storage] = field(default_factory=dict)
    size: int = 0
    nonzero: int = 0
    rest: int = 0

    def add(self, name: str, record: Record, tensor: Tensor, mask: Tensor | None) -> None:
        nonzero = int(torch.count_nonzero(tensor))
        self.size += record.size
        self.nonzero += nonzero
        if mask is None:
            self.rest += record.size * tensor.element_size()
        if mask is None and tensor.dim() < 2:
            return
        names = (name, *record.aliases)
        self.counts.append(
            Count(
                name=name,
                aliases=names,
                shape=record.shape,
                itemsize=tensor.element_size(),
                size=record.size,
                kept=record.size if mask is None else int(mask.sum()),
                nonzero=nonzero,
                pattern=None,
                target=mask is not None,
            )
        )
        if mask is None:
            return
        self.histograms[name] = histogram(tensor, mask)
        if mask.dim() > 1:
            # Without code nobody knows which weights are turned or stacked: as they lie.
            target = Target(name, names, "", record.shape)
            self.dead.update(dead({name: mask}, {name: target}))
            self.pictures[name] = picture(target.matrix(mask))


def _tensor_and_mask(
    contents: Contents, name: str, record: Record, ours: bool
) -> tuple[Tensor, Tensor | None]:
    tensor = contents.tensors[name]
    if ours:
        return tensor, contents.masks[name] if record.mask != "none" else None
    weight = tensor.is_floating_point() and tensor.dim() > 1
    return tensor, tensor != 0 if weight else None


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(
            f"{path.parent} is no run: {path.name} cannot be read ({error.strerror or error}). "
            f"A run holds {RUN} and {WEIGHTS}; give one, or a .safetensors file."
        ) from error
    except ValueError as error:
        raise FileError(f"{path} is no JSON ({error}). It is damaged.") from error
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        found = about.get("format") if isinstance(about, dict) else type(about).__name__
        raise FileError(f"{path} has format {found!r}; this rarefy reads runs of format {_FORMAT}.")
    kinds = {"words": dict, "history": list, "steps": int, "method": str}
    for key, kind in kinds.items():
        if not isinstance(about.get(key), kind | None):
            raise FileError(f"{path}: {key} is {type(about[key]).__name__}, not {kind.__name__}.")
    return about


def _training(plain: dict[str, Any] | None, path: Path) -> Training | None:
    try:
        return None if plain is None else training_from(plain)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileError(
            f"{path}: what it says of training is incomplete ({error}). It is damaged."
        ) from error


def _numbers(found: object) -> dict[str, float]:
    named = found if isinstance(found, dict) else {"score": found}
    return {
        str(name): float(number)
        for name, number in named.items()
        if isinstance(number, int | float)
    }


def _history(records: list[Any], path: Path) -> tuple[dict[str, float], ...]:
    for place, record in enumerate(records):
        if not isinstance(record, dict) or not isinstance(record.get("step"), int | float):
            raise FileError(f"{path}: record {place} of history has no step. It is damaged.")
    # A number that is not finite was written as null: there is no point to draw.
    return tuple(_numbers(record) for record in records)

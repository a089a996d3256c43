"""What training cost, told with the storage that it ran on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from rarefy.metrics import (
    Flops,
    Metered,
    TrainingBytes,
    TrainingMeter,
    training_bytes,
    training_flops,
)
from rarefy.reports import _numbers as show
from rarefy.training import Sparsifier

SIMULATED = "simulated: dense speed and memory"
"""What masked training is: the zeros are stored and multiplied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Bytes, FLOPs and, where a meter was on, time of a training run."""

    storage: str
    """``"dense"`` where nothing is removed and nothing will be, ``"masked"``, ``"compressed"``."""
    bytes: TrainingBytes
    flops: tuple[tuple[int, float], ...]
    """Steps, and FLOPs so far in multiples of as many dense steps; empty without an example."""
    metered: Metered | None

    @property
    def label(self) -> str:
        """The storage in words; masked training is called simulated."""
        held = self.bytes
        what = "weights, gradients and optimizer state"
        if self.storage == "dense":
            return f"dense: {show.size(held.dense)} of {what}"
        if self.storage == "masked":
            return f"masked, {SIMULATED}; {show.size(held.total)} of {what}, masks with them"
        return (
            f"compressed: {show.size(held.total)} of {what}, topology with them, "
            f"{show.percent(held.share, 1)} of dense"
        )

    def plain(self) -> dict[str, Any]:
        """As plain data that ``json.dumps`` takes."""
        metered = self.metered
        content = {
            "storage": self.storage,
            "simulated": self.storage == "masked",
            "bytes": plain_bytes(self.bytes),
            "flops": [list(point) for point in self.flops],
        }
        return content | {"metered": None if metered is None else plain_metered(metered)}


def training_of(
    sparsifier: Sparsifier | None, flops: Flops | None, meter: TrainingMeter | None
) -> Training | None:
    """What a Sparsifier's training costs; None of a model that none drives."""
    if sparsifier is None or not (sparsifier.attached or meter):
        return None
    metered = meter.found if meter else None
    share = flops.effective / flops.dense if flops and flops.dense else None
    untouched = not sparsifier.sparsity and sparsifier.plan.ramp is None
    dense = untouched and sparsifier.storage == "masked"
    return Training(
        storage="dense" if dense else sparsifier.storage,
        bytes=metered.bytes if metered else training_bytes(sparsifier),
        flops=() if share is None else tuple(training_flops(sparsifier, share)),
        metered=metered,
    )


def training_from(plain: Mapping[str, Any]) -> Training:
    """The same from what :meth:`Training.plain` gave.

    Raises:
        KeyError, TypeError, ValueError: Something is missing, or is no number.
    """
    metered = plain["metered"]
    return Training(
        storage=str(plain["storage"]),
        bytes=_bytes_from(plain["bytes"]),
        flops=tuple((int(step), float(multiple)) for step, multiple in plain["flops"]),
        metered=None if metered is None else _metered_from(metered),
    )


def _bytes_from(plain: Mapping[str, Any]) -> TrainingBytes:
    return TrainingBytes(**{each.name: int(plain[each.name]) for each in fields(TrainingBytes)})


def _metered_from(plain: Mapping[str, Any]) -> Metered:
    content = {each.name: plain[each.name] for each in fields(Metered)}
    updates = content["updates"]
    return Metered(
        **content
        | {
            "whole": _three(content["whole"]),
            "parts": {part: _three(spread) for part, spread in content["parts"].items()},
            "updates": None if updates is None else _three(updates),
            "curve": tuple(content["curve"]),
            "bytes": _bytes_from(content["bytes"]),
        }
    )


def _three(spread: Sequence[float]) -> tuple[float, float, float]:
    low, middle, high = map(float, spread)
    return low, middle, high


def plain_bytes(held: TrainingBytes) -> dict[str, Any]:
    """Bytes as plain data, with their total, what dense takes, and the share."""
    return {**asdict(held), "total": held.total, "dense": held.dense, "share": held.share}


def plain_metered(found: Metered) -> dict[str, Any]:
    """What a meter saw as plain data; seconds and bytes."""
    return {
        **asdict(found),
        "bytes": plain_bytes(found.bytes),
        "update_in_steps": found.update_in_steps,
    }


def lines(training: Training) -> list[tuple[str, str]]:
    """The report's lines on training, each with the word it is about."""
    told = [("training", training.label)]
    if training.flops:
        step, multiple = training.flops[-1]
        told.append(
            (
                "training FLOPs",
                f"{multiple:.3g} times dense over {show.count(step)} steps, products with a "
                "removed weight left out"
                + (" (none of it saved: simulated)" if training.storage == "masked" else ""),
            )
        )
    found = training.metered
    if found is not None:
        told.append(("step", f"{_seconds(found.whole)}, {_conditions(found)}: {_parts(found)}"))
        if found.updates is not None:
            told.append(
                (
                    "topology update",
                    f"{_seconds(found.updates)}, {found.update_in_steps:.2g} ordinary steps; "
                    f"{show.count(found.update_count)} of them",
                )
            )
        if found.peak_resident is not None:
            told.append(("peak resident", _resident(found)))
    return told


def _seconds(spread: tuple[float, float, float]) -> str:
    low, middle, high = spread
    return f"{show.duration(middle)} ({show.duration(low)} to {show.duration(high)})"


def _parts(found: Metered) -> str:
    return ", ".join(f"{part} {show.duration(found.parts[part][1])}" for part in found.parts)


def _conditions(found: Metered) -> str:
    threads = f"{found.threads} thread{'' if found.threads == 1 else 's'}"
    return f"median and quartiles of {show.count(found.steps)} steps, {threads}"


def _resident(found: Metered) -> str:
    of = "since the process began" if found.whole_process else "during these steps"
    text = f"{show.size(found.peak_resident or 0)} {of}, with all else in the process"
    if found.resident_before is not None:
        text += f"; {show.size(found.resident_before)} when the meter was switched on"
    return text

"""Timings that were taken before, in memory and in the user's cache folder."""

from __future__ import annotations

import functools
import json
import math
import os
import platform
import sys
import tempfile
import threading
from pathlib import Path

import torch

from rarefy import _native

Seconds = dict[str, float]
"""Name of a candidate, such as ``dense`` or ``sparse``, to seconds a call."""

_VERSION = 1
_MOST = 20_000
"""Entries in a file, so that it does not grow for ever."""


class Timings:
    """What is known of calls on this machine, by a key that says what was timed.

    Args:
        path: A JSON file, read now and written by :meth:`save`; None keeps all in memory. A file
            that cannot be read counts as empty, one that cannot be written is left.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: dict[str, Seconds] = {} if path is None else _read(path)
        self._fresh: dict[str, Seconds] = {}

    def get(self, key: str, names: tuple[str, ...]) -> Seconds | None:
        """The seconds of these candidates, if all of them are known."""
        found = self._known.get(key, {})
        return {name: found[name] for name in names} if all(n in found for n in names) else None

    def put(self, key: str, seconds: Seconds) -> None:
        """Remember them."""
        with self._lock:
            self._known[key] = {**self._known.get(key, {}), **seconds}
            self._fresh[key] = self._known[key]

    def save(self) -> None:
        """Write what is new to the file, beside what others have written since."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        if self.path is None or not fresh:
            return
        known = {**_read(self.path), **fresh}
        entries = dict(list(known.items())[-_MOST:])
        text = json.dumps({"version": _VERSION, "machine": machine(), "seconds": entries})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _replace(self.path, text)
        except OSError:
            return  # a home that cannot be written to: it is timed again next time


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".timings-")
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _read(path: Path) -> dict[str, Seconds]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or found.get("version") != _VERSION:
        return {}
    if found.get("machine") != machine() or not isinstance(found.get("seconds"), dict):
        return {}
    return {key: row for key, row in found["seconds"].items() if _is_row(row)}


def _is_row(row: object) -> bool:
    return isinstance(row, dict) and all(
        type(value) in (int, float) and 0 < value < math.inf for value in row.values()
    )


@functools.cache
def machine() -> str:
    """What timings depend on beside the call: processor, kernel set, torch and rarefy."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        ours = version("rarefy")
    except PackageNotFoundError:
        ours = "?"
    return f"{_processor()} | {_native.kernel_set()} | torch {torch.__version__} | rarefy {ours}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}".strip()
    wanted = ("model name", "cpu family", "model", "stepping")
    rows = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip(): value.strip() for key, value in rows.items()}
    return " ".join(named[key] for key in wanted if key in named)


@functools.cache
def timings_here(setting: str | None) -> Timings:
    """The timings of this user on this machine.

    Args:
        setting: ``RAREFY_TIMINGS``: ``off`` keeps them in memory; a folder keeps them there.
    """
    if setting == "off":
        return Timings(None)
    folder = Path(setting) if setting else _cache_folder()
    return Timings(folder / "timings.json")


def timings() -> Timings:
    """As ``RAREFY_TIMINGS`` says now."""
    return timings_here(os.environ.get("RAREFY_TIMINGS"))


def _cache_folder() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "rarefy"


def bucket(density: float) -> float:
    """The density that stands for all near it: steps of 9 %.

    >>> [round(bucket(d), 3) for d in (0.1, 0.098, 0.5)]
    [0.096, 0.096, 0.5]
    """
    return 0.0 if density <= 0 else 2 ** (round(8 * math.log2(density)) / 8)

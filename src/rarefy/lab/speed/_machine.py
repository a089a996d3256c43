"""On what a benchmark ran: without it a number says nothing."""

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from rarefy import _native
from rarefy.lab.speed._runtimes import RUNTIMES

_TELLING = (
    "avx2", "fma", "f16c", "avx512f", "avx512vbmi", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_bf16", "amx_int8", "asimd", "asimddp", "sve",
)  # fmt: skip
"""Flags of the processor that decide which kernels can run."""

_BUSY = 0.5
"""Load, in processes that want to run, from which on a measurement is disturbed."""


def machine() -> dict[str, Any]:
    """Processor, caches, system, versions of what takes part, and load: plain data.

    ``busy`` is True where other processes were running; medians then say less.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": cpu_model(),
        "cores": cores(),
        "flags": cpu_flags(),
        "caches": caches(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "kernel_set": _native.kernel_set(),
        "versions": {
            name: found
            for name in (
                "rarefy",
                "torch",
                *sorted({p for r in RUNTIMES.values() for p in r.packages}),
            )
            if (found := version_of(name)) is not None
        },
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
        "load": load,
        "busy": load is not None and load > _BUSY,
    }


def cpu_model() -> str:
    """The processor's name, as the system tells it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_flags() -> list[str]:
    """Its flags that decide which kernels can run; empty where the system does not tell."""
    here = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return [flag for flag in _TELLING if flag in here]


def cores() -> int:
    """Cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def caches() -> dict[str, str]:
    """Size of each data cache of the first core, such as ``{"L1": "48K"}``, where Linux tells."""
    found: dict[str, str] = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, deep, size = (_line(folder / name) for name in ("type", "level", "size"))
        if kind in ("Data", "Unified") and deep and size:
            found[f"L{deep}"] = size
    return found


def version_of(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpuinfo(word: str) -> str:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return ""
    match = re.search(rf"^{word}\s*:\s*(.*)$", path.read_text(errors="replace"), re.MULTILINE)
    return match[1].strip() if match else ""


def _line(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""

"""On what a benchmark ran: without it a number says nothing."""

import os
import platform
import re
import sys
import time
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

_BUSY = 0.25
"""Load, in cores at work, from which on a measurement is disturbed."""
_LOOK = 0.5
"""Seconds for which others are watched."""


def machine() -> dict[str, Any]:
    """Processor, caches, system, versions of what takes part, and load: plain data.

    ``busy`` is True where other processes were running; medians then say less.
    """
    load = load_of_others()
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


def load_of_others() -> float | None:
    """Cores that were at work for others in half a second; None where the system does not tell.

    Where it only tells a mean over the last minute, that, with this process in it.
    """
    before = _worked()
    if before is not None:
        begin = time.perf_counter()
        time.sleep(_LOOK)
        after = _worked()
        if after is not None:
            return max(0.0, (after - before) / (time.perf_counter() - begin))
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _worked() -> float | None:
    """Seconds that all cores together were at work since the system began."""
    path = Path("/proc/stat")
    if not path.is_file() or not hasattr(os, "sysconf"):
        return None
    user, nice, system, _, _, irq, soft, *_ = map(int, path.read_text().split("\n")[0].split()[1:])
    return float(user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


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

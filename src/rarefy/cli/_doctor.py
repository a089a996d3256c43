"""``rarefy doctor``: what this machine has, what runs on it, and one line of advice."""

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from rarefy import _native, lab
from rarefy._topk import keep_largest
from rarefy.cli._output import AsJson, pairs, say, say_json, version
from rarefy.errors import UnknownName

EXAMPLE = "Example: [bold]rarefy doctor --json[/bold]"

_TELLING = ("avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_vnni", "amx_int8", "asimd")
"""Flags of the processor that decide which kernels can run."""


def doctor(as_json: AsJson = False) -> None:
    """Say what is here: processor, torch, threads, compiled kernels, extras, data; and advise."""
    found = _found()
    if as_json:
        say_json(found)
        return
    cpu, torch_, kernels = found["cpu"], found["torch"], found["kernels"]
    extras = (
        f"{name} ({'installed' if not missing else 'missing ' + ', '.join(missing)})"
        for name, missing in found["extras"].items()
    )
    say(
        pairs(
            [
                ("rarefy", f"{found['rarefy']}, Python {found['python']}, {found['system']}"),
                ("CPU", f"{cpu['model']}; {cpu['cores']} cores for this process"),
                ("ISA", f"{cpu['isa']}; {', '.join(cpu['flags']) or 'flags not told'}"),
                ("torch", f"{torch_['version']}, {torch_['threads']} threads"),
                ("accelerator", torch_["accelerator"] or "none"),
                ("kernels", "\n".join([kernels["status"], *kernels["names"]])),
                ("extras", ", ".join(extras)),
                ("fashion", found["data"]["fashion"] or "not found: rarefy demo says how"),
                ("advice", found["advice"]),
            ]
        )
    )


def _found() -> dict[str, Any]:
    found: dict[str, Any] = {
        "rarefy": version(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": {
            "model": _cpu_model(),
            "cores": _cores(),
            "isa": torch.backends.cpu.get_cpu_capability(),
            "flags": _flags(),
        },
        "torch": {
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
            "accelerator": _accelerator(),
        },
        "kernels": _kernels(),
        "extras": _extras(),
        "data": {"fashion": _text(lab.fashion_folder())},
    }
    found["advice"] = _advice(found)
    return found


def _kernels() -> dict[str, Any]:
    try:
        # Each kernel is compared with its reference when it is first used, so use it.
        keep_largest(torch.arange(100.0), 10)
        return {
            "set": _native.kernel_set(),
            "sets": list(_native.sets()),
            "names": list(_native.names()),
            "status": _native.status(),
        }
    except UnknownName as error:  # RAREFY_KERNELS asks for what is not there
        return {"set": None, "sets": [], "names": [], "status": str(error)}


def _extras() -> dict[str, list[str]]:
    """Extra to the packages that it still lacks."""
    extras: dict[str, list[str]] = {}
    for line in metadata.requires("rarefy") or []:
        match = re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", line)
        if match is None or match[2] in ("dev", "all"):
            continue
        missing = extras.setdefault(match[2], [])
        if not _installed(match[1]):
            missing.append(match[1])
    return extras


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _advice(found: dict[str, Any]) -> str:
    kernels, cpu, torch_ = found["kernels"], found["cpu"], found["torch"]
    if kernels["set"] is None:
        return "Unset RAREFY_KERNELS; nothing that ranks weights runs until then."
    if kernels["set"] == "reference" and "RAREFY_KERNELS" not in os.environ:
        return (
            "Everything works, more slowly: install rarefy again where there is a C++17 compiler."
        )
    if "switched off" in kernels["status"]:
        return "A compiled kernel is wrong on this machine and is not used: please report it."
    if torch_["threads"] > cpu["cores"]:
        return f"torch has more threads than cores: set OMP_NUM_THREADS={cpu['cores']}."
    if found["extras"].get("demo"):
        return "For the demonstration: pip install 'rarefy[demo]'"
    return "All well. See it work: rarefy demo"


def _cpu_model() -> str:
    named = _cpuinfo("model name")
    return named or platform.processor() or platform.machine()


def _flags() -> list[str]:
    here = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return [flag for flag in _TELLING if flag in here]


def _cpuinfo(word: str) -> str:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return ""
    match = re.search(rf"^{word}\s*:\s*(.*)$", path.read_text(errors="replace"), re.MULTILINE)
    return match[1].strip() if match else ""


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _accelerator() -> str | None:
    found = torch.accelerator.current_accelerator()
    return None if found is None else str(found)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)

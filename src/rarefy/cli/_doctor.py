"""``rarefy doctor``: what this machine has, what runs on it, and one line of advice."""

import ctypes
import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from rarefy import _native, lab
from rarefy._topk import keep_largest
from rarefy.cli._output import AsJson, pairs, say, say_json, version
from rarefy.errors import UnknownName
from rarefy.kernels import Plan, floats, join, pack
from rarefy.lab import speed

EXAMPLE = "Example: [bold]rarefy doctor --json[/bold]"

_STEPS = {
    "linear": "input r0 rank=2\nlinear r1 r0 w=0:4x4 b=1",
    "conv": "input r0 rank=4\nconv r1 r0 w=0:4x4x1x1 b=1 stride=1,1 pad=0,0",
    "affine": "input r0 rank=4\naffine r1 r0 s=2:4",
    "norm": "input r0 rank=2\nnorm r1 r0 p=2:4 eps=1e-05",
    "clamp": "input r0 rank=2\nclamp r1 r0 lo=0.0 hi=6.0",
    "max_pool": "input r0 rank=4\nmax_pool r1 r0 size=2,2 stride=2,2 pad=0,0",
    "mean": "input r0 rank=4\nmean r1 r0",
    "flatten": "input r0 rank=4\nflatten r1 r0",
    **{name: f"input r0 rank=2\n{name} r1 r0" for name in ("relu", "gelu", "gelu_tanh", "silu")},
    **{name: f"input r0 rank=2\n{name} r1 r0 r0" for name in ("add", "mul")},
}
"""Every step of a plan in a program of its own: making one has the step compared with torch."""


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
    caches = ", ".join(f"{name} {size}" for name, size in cpu["caches"].items())
    off = "\n".join(kernels["switched_off"]) or "none"
    say(
        pairs(
            [
                ("rarefy", f"{found['rarefy']}, Python {found['python']}, {found['system']}"),
                ("CPU", f"{cpu['model']}; {cpu['cores']} cores for this process"),
                ("ISA", f"{cpu['isa']}; {', '.join(cpu['flags']) or 'flags not told'}"),
                ("caches", caches or "not told"),
                ("torch", f"{torch_['version']}, {torch_['threads']} threads"),
                ("accelerator", torch_["accelerator"] or "none"),
                ("kernels", f"{kernels['reason']}; {len(kernels['names'])} in the table"),
                ("switched off", off),
                ("generated", _GENERATED[kernels["generated"]]),
                ("runtimes", "\n".join(map(_told, found["runtimes"].items()))),
                ("extras", ", ".join(extras)),
                ("fashion", found["data"]["fashion"] or "not found: rarefy demo says how"),
                ("advice", found["advice"]),
            ]
        )
    )


_GENERATED = {
    True: "code is written for each weight's own pattern of zeros",
    False: "no: it takes AVX-512 and a system that lets memory be executed; kernels read indices",
    None: "no: there are no compiled kernels",
}


def _told(runtime: tuple[str, dict[str, Any]]) -> str:
    name, found = runtime
    if found["missing"]:
        return f"{name}: pip install {' '.join(found['missing'])}"
    return f"{name}: " + ", ".join(f"{package} {v}" for package, v in found["versions"].items())


def _found() -> dict[str, Any]:
    found: dict[str, Any] = {
        "rarefy": version(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": {
            "model": speed.cpu_model(),
            "cores": speed.cores(),
            "isa": torch.backends.cpu.get_cpu_capability(),
            "flags": speed.cpu_flags(),
            "caches": speed.caches(),
        },
        "torch": {
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
            "accelerator": _accelerator(),
        },
        "kernels": _kernels(),
        "runtimes": _runtimes(),
        "extras": _extras(),
        "data": {"fashion": _text(lab.fashion_folder())},
    }
    found["advice"] = _advice(found)
    return found


def _kernels() -> dict[str, Any]:
    try:
        # Each kernel is compared with its reference when it is first used, so use them.
        keep_largest(torch.arange(100.0), 10)
        _use_every_step()
        reason, *off = _native.status().splitlines()
        return {
            "set": _native.kernel_set(),
            "sets": list(_native.sets()),
            "names": list(_native.names()),
            "status": _native.status(),
            "reason": reason,
            "switched_off": off,
            "generated": _generated(),
        }
    except UnknownName as error:  # RAREFY_KERNELS asks for what is not there
        why = str(error)
        nothing: dict[str, Any] = {"set": None, "sets": [], "names": [], "status": why}
        return nothing | {"reason": why, "switched_off": [], "generated": None}


def _use_every_step() -> None:
    square = torch.eye(4)
    packed = join([pack(square), floats(torch.zeros(4)), floats(torch.ones(8))])
    for lines in _STEPS.values():
        Plan(packed, f"rarefy 1\n{lines}\noutput r1")


def _generated() -> bool | None:
    """Whether code is generated here; None where there is no library."""
    can = _native.function("rarefy_can_emit", ctypes.CFUNCTYPE(ctypes.c_int))
    return None if can is None else bool(can())


def _runtimes() -> dict[str, dict[str, Any]]:
    """The runtimes that ``rarefy bench`` compares with: versions, or what is missing."""
    return {
        runtime.name: {
            "missing": runtime.missing(),
            "versions": {
                package: speed.version_of(package) or "of an unknown version"
                for package in runtime.packages
                if package not in runtime.missing()
            },
        }
        for runtime in speed.runtimes()
        if runtime.packages
    }


def _extras() -> dict[str, list[str]]:
    """Extra to the packages that it still lacks."""
    extras: dict[str, list[str]] = {}
    for line in metadata.requires("rarefy") or []:
        match = re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", line)
        if match is None or match[2] in ("dev", "all"):
            continue
        missing = extras.setdefault(match[2], [])
        if speed.version_of(match[1]) is None:
            missing.append(match[1])
    return extras


def _advice(found: dict[str, Any]) -> str:
    kernels, cpu, torch_ = found["kernels"], found["cpu"], found["torch"]
    if kernels["set"] is None:
        return "Unset RAREFY_KERNELS; nothing that ranks weights runs until then."
    if kernels.get("switched_off"):
        return "A compiled kernel is wrong on this machine and is not used: please report it."
    if kernels["set"] == "reference" and "RAREFY_KERNELS" not in os.environ:
        return (
            "Everything works, more slowly: install rarefy again where there is a C++17 compiler."
        )
    if torch_["threads"] > cpu["cores"]:
        return f"torch has more threads than cores: set OMP_NUM_THREADS={cpu['cores']}."
    if found["extras"].get("demo"):
        return "For the demonstration: pip install 'rarefy[demo]'"
    return "All well. See it work: rarefy demo"


def _accelerator() -> str | None:
    found = torch.accelerator.current_accelerator()
    return None if found is None else str(found)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)

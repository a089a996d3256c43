"""Loads the compiled kernels once, when first needed; their absence is a normal state.

The library knows no torch and no Python. ``RAREFY_KERNELS`` chooses the instruction set by hand:
``reference`` (plain torch), ``generic``, ``v3`` (AVX2), ``v4`` (AVX-512) or ``v4n`` (with its
instructions for 8- and 16-bit numbers).
"""

import ctypes
import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from rarefy.errors import UnknownName

ABI = 4
_FILE = {"darwin": "librarefy_native.dylib", "win32": "rarefy_native.dll"}
_SETS = ("reference", "generic", "v3", "v4", "v4n")

_disabled: dict[str, str] = {}
_HOME = os.getpid()


@dataclass(frozen=True, slots=True)
class _Library:
    """The library, if there is one; the set that runs; one line saying why."""

    handle: ctypes.CDLL | None
    kernel_set: str
    reason: str


def forked() -> bool:
    """Whether this process was forked off the one that imported rarefy."""
    return os.getpid() != _HOME


def kernel_set() -> str:
    """The instruction set whose kernels run: ``v4``, ``v3``, ``generic`` or ``reference``.

    Raises:
        UnknownName: ``RAREFY_KERNELS`` names a set that does not exist or does not run here.
    """
    return _load().kernel_set


def status() -> str:
    """One line on which kernels run and why, and one for each that was switched off."""
    return "\n".join([_load().reason, *_disabled.values()])


def sets() -> tuple[str, ...]:
    """The instruction sets that the library holds and this machine runs, best first."""
    return _listed("rarefy_set")


def names() -> tuple[str, ...]:
    """Every kernel in the library's table."""
    return _listed("rarefy_kernel_name")


def kernel_of(name: str, kernel_set: str, prototype: Callable[[int], Any]) -> Callable[..., int]:
    """A kernel compiled for one set, unchecked; for tests and benchmarks.

    Raises:
        UnknownName: The library has no such kernel, or there is no library.
    """
    handle = _load().handle
    address = handle.rarefy_kernel(name.encode(), kernel_set.encode()) if handle else None
    if not address:
        raise UnknownName(
            f"there is no kernel '{name}' for '{kernel_set}'. "
            f"Kernels: {', '.join(names()) or 'none'}; sets: {', '.join(sets()) or 'none'}."
        )
    kernel: Callable[..., int] = prototype(address)
    return kernel


_kernels: dict[str, Callable[..., int] | None] = {}


def kernel(
    name: str, prototype: Callable[[int], Any], agrees: Callable[[Callable[..., int]], bool]
) -> Callable[..., int] | None:
    """The kernel to use here, or None where the reference runs.

    Args:
        name: A line of the table, such as ``topk_mark_f32``.
        prototype: The ctypes function type of the kernel.
        agrees: Runs the kernel on a tiny case; whether it gave what its reference gives. Asked
            once: a kernel that does not is switched off, and :func:`status` says so.
    """
    if name not in _kernels:
        there = kernel_set() != "reference"
        found = kernel_of(name, kernel_set(), prototype) if there else None
        _kernels[name] = _checked(f"kernel {name}", found, agrees)
    return _kernels[name]


def function(
    name: str,
    prototype: Callable[[Any], Any],
    agrees: Callable[[Callable[..., Any]], bool] | None = None,
) -> Callable[..., Any] | None:
    """A function of the library's interface, or None where the reference runs.

    Args:
        name: As declared in ``csrc``, such as ``rarefy_pack``.
        prototype: Its ctypes function type.
        agrees: As for :func:`kernel`; without it the function is not checked.
    """
    if name not in _kernels:
        handle = _load().handle
        found = prototype((name, handle)) if hasattr(handle, name) else None
        _kernels[name] = _checked(name, found, agrees or (lambda _: True))
    return _kernels[name]


def switch_off(what: str, why: str = "on a tiny case it gave something else") -> None:
    """Note for :func:`status` that the reference runs in place of ``what``, and why."""
    _disabled[what] = f"{what} ({kernel_set()}) is switched off, so its reference runs: {why}"


def _checked(
    what: str,
    found: Callable[..., Any] | None,
    agrees: Callable[[Callable[..., Any]], bool],
) -> Callable[..., Any] | None:
    if found is None or agrees(found):
        return found
    switch_off(what)
    return None


@functools.cache
def _load() -> _Library:
    wanted = os.environ.get("RAREFY_KERNELS")
    if wanted is not None and wanted not in _SETS:
        raise UnknownName(
            f"RAREFY_KERNELS is '{wanted}', which is no kernel set. Use one of "
            f"{', '.join(_SETS)}, or unset it to take the best that runs here."
        )
    if wanted == "reference":
        return _Library(None, "reference", "reference kernels: RAREFY_KERNELS asks for them")
    handle, problem = _open()
    if handle is None and wanted is None:
        return _Library(None, "reference", f"reference kernels: {problem}")
    there = _strings(handle.rarefy_set) if handle else ()
    if wanted is not None and wanted not in there:
        raise UnknownName(
            f"RAREFY_KERNELS asks for '{wanted}', which does not run here ("
            + (f"this machine runs {', '.join(there)}" if handle else problem)
            + "). Unset it to take the best that does."
        )
    chosen = wanted or there[0]
    why = "asked for by RAREFY_KERNELS" if wanted else f"the best of {', '.join(there)} here"
    return _Library(handle, chosen, f"compiled kernels, set {chosen}: {why}")


def _open() -> tuple[ctypes.CDLL | None, str]:
    place = files("rarefy").joinpath(_FILE.get(sys.platform, "librarefy_native.so"))
    if not place.is_file():
        return None, (
            "the package was installed without its compiled library; "
            "install it again where there is a C++17 compiler"
        )
    try:
        handle = ctypes.CDLL(str(place))
        found = int(handle.rarefy_abi())
    except (OSError, AttributeError) as error:
        return None, f"the compiled library could not be loaded ({error}); install rarefy again"
    if found != ABI:
        return None, (
            f"the compiled library is of another version (interface {found}, wanted {ABI}); "
            "install rarefy again"
        )
    handle.rarefy_set.restype = ctypes.c_char_p
    handle.rarefy_kernel_name.restype = ctypes.c_char_p
    handle.rarefy_kernel.restype = ctypes.c_void_p
    return handle, ""


def _listed(function: str) -> tuple[str, ...]:
    handle = _load().handle
    return _strings(getattr(handle, function)) if handle else ()


def _strings(function: Callable[[int], bytes | None]) -> tuple[str, ...]:
    found: list[str] = []
    while (text := function(len(found))) is not None:
        found.append(text.decode())
    return tuple(found)

"""The threads that the compiled library runs on."""

import ctypes
import functools
import multiprocessing
import os
from pathlib import Path

import torch

from rarefy import _native

_BORROW = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)
_FORGET = ctypes.CFUNCTYPE(None)


@functools.cache
def settle_threads() -> None:
    """Have the library run on torch's threads where they are OpenMP's, else on its own.

    Torch's spin on all cores for a while after each of its operations. Others would have to fight
    them for the cores wherever a net has layers of both kinds. Called before the library starts
    any. In a forked process OpenMP waits for ever for threads that were the parent's, so there the
    library's own are taken.
    """
    borrow = _native.function("rarefy_pool_borrow", _BORROW)
    if borrow is not None and torch.backends.openmp.is_available() and not _is_forked():
        inside = sorted(Path(torch.__file__).parent.glob("lib/lib*omp*.so*"))
        names = [*map(str, inside), "libiomp5.so", "libgomp.so.1"]
        any(borrow(os.fsencode(name)) for name in names)
    forget = _native.function("rarefy_pool_after_fork_child", _FORGET)
    if forget is not None and hasattr(os, "register_at_fork"):  # Windows has no fork
        # Neither torch's threads nor its own exist in a forked child, which must start new ones.
        os.register_at_fork(after_in_child=forget)


def _is_forked() -> bool:
    if _native.forked():
        return True
    by_fork = multiprocessing.get_start_method(allow_none=True) != "spawn"
    return multiprocessing.parent_process() is not None and by_fork

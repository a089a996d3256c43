"""The measured FMA peak of this CPU: what every share of the peak is a share of."""

import ctypes
import threading
from collections.abc import Callable

from rarefy import _native
from rarefy.errors import MissingExtra

_PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
_NAME = "fma_peak_f32"
_ITERATIONS = 400_000
"""Some two milliseconds: short beside a burst, long beside starting it."""


def peak(threads: int) -> Callable[[], int]:
    """A call that does nothing but multiply and add, on ``threads`` at once.

    Returns:
        A function that gives the FLOPs it did, all threads together, each product and each sum
        counted. Whoever calls it takes the time. The kernel is that of the set that runs here, so
        the peak is that of the instructions the other kernels may use.

    Raises:
        MissingExtra: There are no compiled kernels: torch has no way to keep an FMA pipe busy.
    """
    kernel = _native.kernel(_NAME, _PROTOTYPE, _counts)
    if kernel is None:
        raise MissingExtra(
            "the FMA peak is measured by a compiled kernel, and none runs here "
            f"({_native.status().splitlines()[0]}). Without it times are told, but no share of "
            "the peak. Install rarefy again where there is a C++17 compiler."
        )
    found = kernel

    def call() -> int:
        done = [0] * threads

        def work(place: int) -> None:
            done[place] = found(_ITERATIONS)  # ctypes lets go of the interpreter meanwhile

        others = [threading.Thread(target=work, args=(place,)) for place in range(1, threads)]
        for other in others:
            other.start()
        work(0)
        for other in others:
            other.join()
        return sum(done)

    return call


def _counts(kernel: Callable[..., int]) -> bool:
    """The work told grows with the work asked for."""
    return kernel(0) == 0 and 0 < 2 * kernel(2) == kernel(4)

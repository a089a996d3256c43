"""Speed, measured: rarefy beside torch and every other runtime that is installed.

Nothing here is needed to use the library; it is what its claims of speed are checked with.
"""

from rarefy.lab.speed._bench import bench
from rarefy.lab.speed._benchmark import Benchmark, Row, told
from rarefy.lab.speed._case import Case, conv, linear
from rarefy.lab.speed._machine import (
    caches,
    cores,
    cpu_flags,
    cpu_model,
    machine,
    version_of,
)
from rarefy.lab.speed._measure import Entry, Stand, Timing
from rarefy.lab.speed._ours import plan_of
from rarefy.lab.speed._prepared import Prepared
from rarefy.lab.speed._runtimes import Runtime, runtime_of, runtimes
from rarefy.lab.speed._shape import Shape, shape_of
from rarefy.lab.speed._worker import Ready, Refused

__all__ = [
    "Benchmark",
    "Case",
    "Entry",
    "Prepared",
    "Ready",
    "Refused",
    "Row",
    "Runtime",
    "Shape",
    "Stand",
    "Timing",
    "bench",
    "caches",
    "conv",
    "cores",
    "cpu_flags",
    "cpu_model",
    "linear",
    "machine",
    "plan_of",
    "runtime_of",
    "runtimes",
    "shape_of",
    "told",
    "version_of",
]

"""Seconds that `import rarefy` adds to `import torch`: python benchmarks/import_time.py."""

import statistics
import subprocess
import sys

ROUNDS = 9
_PROGRAM = """
import time
start = time.perf_counter()
import torch
middle = time.perf_counter()
import rarefy
print(time.perf_counter() - middle, middle - start)
"""


def measure() -> tuple[float, float]:
    """Seconds of one fresh process: what rarefy adds, and torch alone."""
    answer = subprocess.run(
        [sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True
    )
    added, torch_alone = map(float, answer.stdout.split())
    return added, torch_alone


def main() -> None:
    """Print the median and the range of ``ROUNDS`` fresh processes."""
    measure()  # the first one reads the files from disk
    added, torch_alone = zip(*(measure() for _ in range(ROUNDS)), strict=True)
    print(f"import torch               {statistics.median(torch_alone):6.3f} s")
    print(
        f"import rarefy adds         {statistics.median(added):6.3f} s "
        f"({min(added):.3f} to {max(added):.3f} in {ROUNDS} processes; the bar is 0.2 s)"
    )


if __name__ == "__main__":
    main()

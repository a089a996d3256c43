"""Time of `keep_largest` against torch.topk and a sort: python benchmarks/topk.py."""

import statistics
import time
from collections.abc import Callable

import torch

from rarefy import _native
from rarefy._topk import count_largest, keep_largest

SIZES = (1 << 20, 1 << 24)
KEPT = 10  # one in so many
ROUNDS = 7


def milliseconds(function: Callable[[], object]) -> str:
    """Median and range of ``ROUNDS`` runs after one that is not counted."""
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    times = times[1:]
    return f"{statistics.median(times):9.1f} ({min(times):.1f} to {max(times):.1f})"


def main() -> None:
    """Print one block a size: each way to find the largest tenth of normal float32 scores."""
    torch.manual_seed(0)
    print(f"{_native.status()}; torch threads: {torch.get_num_threads()}; times in ms")
    for size in SIZES:
        scores = torch.randn(size).abs()
        ties = torch.where(torch.rand(size) < 1 / KEPT, scores, 0.0)
        count = size // KEPT
        print(f"{size:,} scores, {count:,} kept")
        rows: dict[str, Callable[[], object]] = {
            "keep_largest": lambda s=scores, k=count: keep_largest(s, k),
            "keep_largest, 90 % zeros": lambda s=ties, k=count: keep_largest(s, 2 * k),
            "count_largest, one tensor": lambda s=scores, k=count: count_largest({"w": s.abs}, k),
            "torch.topk": lambda s=scores, k=count: s.topk(k, sorted=False),
            "torch.kthvalue": lambda s=scores, k=count: s.kthvalue(s.numel() - k + 1),
            "stable sort": lambda s=scores: s.sort(stable=True),
        }
        for name, function in rows.items():
            print(f"  {name:26s}{milliseconds(function)}")


if __name__ == "__main__":
    main()

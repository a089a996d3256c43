"""What `rarefy.accelerate` itself costs: python benchmarks/speed/accelerate_cost.py.

Three layers of the encoder, 21 million weights at 90 %, 128 tokens, one thread; each time in a
fresh process whose folder of remembered timings is empty.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from bars import Bar, finish, options, progress
from models import Encoder

import rarefy
from rarefy.lab import speed

LAYERS, TOKENS, SPARSITY = 3, 128, 0.9
SECONDS, MEMORY = 5.0, 1.25
PROCESSES = 5


def once() -> dict[str, float]:
    """Seconds, and the most memory beyond what was there before, over the dense model's bytes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Encoder(layers=LAYERS).eval()
    rarefy.sparsify(model, SPARSITY, allocation="uniform").finalize()
    example = torch.randn(1, TOKENS, 768)
    with torch.no_grad():
        model(example)  # torch's own first-use costs are not accelerate's
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    before = _resident()
    _forget_peak()
    begin = time.perf_counter()
    fast = rarefy.accelerate(model, example)
    seconds = time.perf_counter() - begin
    extra = _peak() - before
    with torch.no_grad():
        off = (fast(example) - model(example)).abs().max() / model(example).abs().max()
    return {
        "seconds": seconds,
        "memory": extra / size,
        "weights": sum(p.numel() for p in model.parameters() if p.dim() > 1),
        "error": float(off),
    }


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def _fresh() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        answer = subprocess.run(
            [sys.executable, __file__, "--once"],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "RAREFY_TIMINGS": f"{folder}/timings.json"},
        )
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


def run(given: argparse.Namespace) -> tuple[list[Bar], list[dict[str, Any]]]:
    """Several fresh processes, one after another."""
    time_bar = Bar("seconds, cold timings", SECONDS, below=True)
    memory_bar = Bar("most extra memory, of the dense model", MEMORY, below=True)
    rows: list[dict[str, Any]] = []
    for number in range(1 if given.quick else PROCESSES):
        progress(f"process {number + 1} of {PROCESSES}")
        rows.append(dict(_fresh()))
    for name, bar in (("seconds", time_bar), ("memory", memory_bar)):
        bar.add("median of the processes", statistics.median(row[name] for row in rows))
    return [time_bar, memory_bar], rows


def main() -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(once()))
        return
    if not Path("/proc/self/clear_refs").exists():
        raise SystemExit("the peak of memory is read from /proc, which is not here.")
    machine = speed.machine()
    bars, rows = run(given)
    finish("accelerate_cost", bars, rows, machine, given)


if __name__ == "__main__":
    main()

"""Every form of a weight in low precision beside dense int8 and bfloat16, one layer at a time.

Run it on a quiet machine:

    .venv/bin/python benchmarks/low_precision.py [--quick] [--out FILE]

One Linear layer with bias and ReLU, float32 in and out, random masks, one thread; quantising the
tokens is inside every time. Ours quantise each token by its own scale, OpenVINO's int8 (nncf) has
scales calibrated beforehand. Forms and rivals take turns in bursts; medians and quartiles.

What the numbers can be. A core that multiplies tiles (AMX) does 16 x 16 x 64 products of 8 bits in
16 cycles, 1024 a cycle whatever is zero in them, half of that in bfloat16. Its 512-bit dot
products do 64 a pipe and cycle; a sparse format keeps one of the two pipes busy with permutations
and fills half to four fifths of the slots, so at 90 % windows reach the equivalent of 300 to 400
dense products a cycle at best. Tiles reach more as long as the dense weight lies in a cache. Masks
are tiles that are made from bits and values just before they are multiplied: for few tokens of a
weight larger than the caches, what is not read counts, and they or lists win. float16 arithmetic
(64 a cycle, no slot wasted) stands where bfloat16 would: dot
products of bfloat16 start once in two cycles on CPUs that have AMX, no faster than float32.
So forms are measured where they run; "equivalent" says what they reach.
"""

import argparse
import ctypes
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rarefy import _native
from rarefy.kernels import quantize
from rarefy.lab import speed

SHAPES = ((768, 768), (3072, 768), (768, 3072), (4096, 4096))
TOKENS = (1, 8, 32, 128, 512)
SPARSITIES = (0.8, 0.9, 0.95)
FORMS = {
    "w8a8": ("narrow", "wide", "masks", "tiles"),
    "w8a16": ("narrow", "wide"),
    "bf16": ("narrow", "masks", "tiles"),
    "f16": ("lists", "code"),
}
RIVALS = (
    ("openvino", "int8"),
    ("torch", "int8"),
    ("openvino", "bfloat16"),
    ("openvino", "float32"),
)
ROUNDS, BURST = 5, 0.03
OUT = Path(__file__).parent / "results" / "low_precision.json"

_NEW = ctypes.CFUNCTYPE(
    ctypes.c_void_p,
    *(ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_char_p),
    *(ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64),
)
_RUN = ctypes.CFUNCTYPE(
    ctypes.c_int,
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p),
    *(ctypes.c_void_p, ctypes.c_int, ctypes.c_int),
)
_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_BYTES = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)


class Form:
    """One form of a layer; called with tokens, it gives a fresh output."""

    def __init__(self, layer: nn.Linear, kind: str, form: str) -> None:
        section = quantize(layer.weight, None, kind).data
        message = ctypes.create_string_buffer(200)
        names = (_native.kernel_set().encode(), form.encode())
        self.handle = _function("rarefy_window_new", _NEW)(
            *(section.data_ptr(), len(section), *names, 1, message, len(message))
        )
        self.problem = message.value.decode()
        self.run, self.layer = _function("rarefy_window_run", _RUN), layer
        self.bytes = _function("rarefy_window_bytes", _BYTES)(self.handle) if self.handle else 0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The layer and its ReLU."""
        y = torch.empty(len(x), self.layer.out_features)
        bias = self.layer.bias.data_ptr()
        self.run(self.handle, x.data_ptr(), len(x), y.data_ptr(), bias, 1, 1)
        return y

    def close(self) -> None:
        """Give its memory back."""
        if self.handle:
            _function("rarefy_window_free", _FREE)(self.handle)


def _function(name: str, prototype: Callable[[Any], Any]) -> Callable[..., Any]:
    found = _native.function(name, prototype)
    if found is None:
        raise SystemExit("This benchmark needs the compiled library: install with a compiler.")
    return found


def layer_of(rows: int, columns: int, sparsity: float) -> nn.Linear:
    """A layer whose weights are normal where they are kept."""
    torch.manual_seed(0)
    layer = nn.Linear(columns, rows).eval().requires_grad_(False)
    kept = torch.rand(rows, columns) >= sparsity
    layer.weight.copy_(torch.randn(rows, columns) / columns**0.5 * kept)
    return layer


def times_of(calls: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Microseconds of every call, in bursts that take turns."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(ROUNDS):
        for name, call in calls.items():
            call()
            end = time.perf_counter() + BURST
            while True:
                begin = time.perf_counter()
                call()
                now = time.perf_counter()
                found[name].append(1e6 * (now - begin))
                if now > end:
                    break
        if turn == 0:
            for taken in found.values():
                taken.clear()  # warm only now
    return found


def cell(rows: int, columns: int, tokens: int, sparsity: float) -> list[dict[str, Any]]:
    """Every form and rival on one shape."""
    layer = layer_of(rows, columns, sparsity)
    net = nn.Sequential(layer, nn.ReLU())
    x = torch.randn(tokens, columns)
    exact = torch.relu(x.double() @ layer.weight.double().T + layer.bias.double())
    forms = {f"{k} {f}": Form(layer, k, f) for k, names in FORMS.items() for f in names}
    calls: dict[str, Callable[[], Any]] = {
        name: (lambda form=form: form(x)) for name, form in forms.items() if form.handle
    }
    for name, precision in RIVALS:
        runtime = speed.runtime_of(name)
        if not runtime.missing(precision):
            calls[f"{name} {precision}"] = runtime.prepare(net, x, 1, precision).call
    rows_found = []
    for name, taken in times_of(calls).items():
        low, middle, high = statistics.quantiles(taken, n=4)
        y = torch.as_tensor(calls[name]()).double()
        rows_found.append(
            {
                "shape": f"{rows}x{columns}",
                "tokens": tokens,
                "sparsity": sparsity,
                "name": name,
                "us": round(middle, 2),
                "us_quartiles": [round(low, 2), round(high, 2)],
                "equivalent_per_ns": round(rows * columns * tokens / middle / 1e3, 1),
                "bytes": forms[name].bytes if name in forms else None,
                "error": float((y - exact).norm() / exact.norm()),
            }
        )
    for form in forms.values():
        form.close()
    return rows_found


def told(found: list[dict[str, Any]]) -> None:
    """One line a form and rival; how many times as fast as OpenVINO's int8 and bfloat16."""
    us = {row["name"]: row["us"] for row in found}
    head = found[0]
    print(f"\n{head['shape']}, {head['tokens']} tokens, {head['sparsity']:.0%}")
    for row in sorted(found, key=lambda row: row["us"]):
        beside = "".join(
            f"  {us[rival] / row['us']:5.2f}x {rival}"
            for rival in ("openvino int8", "openvino bfloat16", "torch int8")
            if rival in us
        )
        print(
            f"  {row['name']:18} {row['us']:10.1f} us  {row['equivalent_per_ns']:7.0f} G/s "
            f"equivalent  error {row['error']:.1e}{beside}"
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one cell; writes only with --out")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    given = parser.parse_args()
    torch.set_num_threads(1)
    machine = speed.machine()
    found: list[dict[str, Any]] = []
    for rows, columns in SHAPES[:1] if given.quick else SHAPES:
        for tokens in (32,) if given.quick else TOKENS:
            for sparsity in (0.9,) if given.quick else SPARSITIES:
                found += (here := cell(rows, columns, tokens, sparsity))
                told(here)
    if machine["busy"]:
        print(f"\nThe machine was busy (load {machine['load']:.1f}): preliminary numbers.")
    if given.out or not given.quick:
        content = {"command": " ".join(["python", *sys.argv]), "machine": machine, "rows": found}
        path = given.out or OUT
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(f"\n{path}")


if __name__ == "__main__":
    main()

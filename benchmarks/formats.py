"""Bytes by storage format, predicted and real, and where one format overtakes another.

    .venv/bin/python benchmarks/formats.py

Predicted are the formulas of Hoefler et al., "Sparsity in Deep Learning", 2021, section 2.2, for
10,000 x 10,000 places (``rarefy.formats.index_bits``); real are bytes of weights that were encoded
(``rarefy.formats.encode``), kept places drawn at random. No time is measured.
"""

import argparse
import json
import math
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from rarefy.formats import break_even, bytes_of, choose, encode, entropy_bits, index_bits

RESULTS = Path(__file__).parent / "results" / "formats.json"
SURVEY_SIDE = 10_000
SIDE = 2_000
SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
FORMATS = (
    *("dense", "bitmask", "delta", "run_length", "csr narrow", "csr", "coo narrow", "coo"),
    *("bsr 4x4", "packed"),
)
DTYPES = {8: torch.int8, 16: torch.float16, 32: torch.float32}
"""Bits of a value."""
LARGEST_GAP = "delta, no escapes"
"""Fields as wide as the largest gap wants them."""
BOUNDARIES = (
    ("dense", "bitmask"),
    ("bitmask", "run_length"),
    ("bitmask", LARGEST_GAP),
    ("bitmask", "csr narrow"),
    ("bitmask", "coo narrow"),
    ("dense", "csr narrow"),
    ("dense", "coo narrow"),
    ("bitmask", "delta 2"),  # with one bit it is the bitmask
)
NOTED = {  # Rounded, as they stand in the survey and in our notes, by bits of a value.
    ("dense", "bitmask"): {8: 12.5, 16: 6.25, 32: 3.1},
    ("bitmask", "run_length"): {8: 75.9, 16: 76.7, 32: 80.1},
    ("bitmask", LARGEST_GAP): {8: 85.7, 16: 85.7, 32: 85.7},
    ("bitmask", "csr narrow"): {8: 92.9, 16: 92.9, 32: 92.9},
    ("bitmask", "coo narrow"): {8: 96.3, 16: 96.3, 32: 96.3},
    ("dense", "csr narrow"): {8: 63.6, 16: 46.7, 32: 30.4},
    ("dense", "coo narrow"): {8: 77.1, 16: 62.8, 32: 45.8},
}
LIBRARIES = {  # What libraries store: 32-bit columns and rows.
    ("dense", "csr"): {8: 80.0, 16: 66.7, 32: 50.0},
    ("dense", "coo"): {8: 88.9, 16: 80.0, 32: 66.7},
}


def drawn(side: int, sparsity: float, width: int = 32) -> Tensor:
    """A square weight of ones at places drawn one by one, each with the same chance."""
    generator = torch.Generator().manual_seed(round(sparsity * 10**6))
    return (torch.rand(side, side, generator=generator) >= sparsity).to(DTYPES[width])


def ideal_bits(form: str, side: int, count: int, width: int) -> float:
    """Of values and positions, by the survey's formulas."""
    size = side * side
    values = (size if form == "dense" else count) * width
    if form == LARGEST_GAP:
        return values + count * math.ceil(math.log2(_largest_gap(size, count)))
    return values + index_bits(form, (side, side), count, width)


def _largest_gap(size: int, count: int) -> float:
    """The largest of ``count`` geometric gaps, about: one of them is as large or larger."""
    if count in (0, size):
        return size if count == 0 else 1
    return max(1.0, math.log(count) / -math.log1p(-count / size))


def crossing(gain: Callable[[int], float], size: int) -> float:
    """Sparsity in per cent from which on ``gain`` of a count is above zero."""
    low, high = 1, size
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if gain(middle) > 0 else (low, middle)
    return 100 * (1 - low / size)


def predicted(first: str, second: str, side: int, width: int) -> float:
    """Where ``second`` becomes the smaller one by formula, in per cent."""
    return crossing(
        lambda count: (
            ideal_bits(first, side, count, width) - ideal_bits(second, side, count, width)
        ),
        side * side,
    )


def real_bytes(form: str, weight: Tensor) -> int:
    """Of the weight as it is encoded."""
    if form == LARGEST_GAP:
        places = weight.flatten().nonzero().flatten()
        largest = int(places.diff(prepend=torch.tensor([-1])).max())
        form = f"delta {largest.bit_length()}"
    return encode(weight, form).bytes


def real(first: str, second: str, side: int, width: int, about: float) -> float:
    """The same from encoded weights, half a per cent before and after where it should be."""
    gains = []
    for sparsity in (about - 0.5, about + 0.5):
        weight = drawn(side, sparsity / 100, width)
        gains.append(real_bytes(first, weight) - real_bytes(second, weight))
    if gains[0] >= 0 or gains[1] <= 0:
        raise SystemExit(f"{first} to {second}: no crossing within half a per cent of {about:.2f}")
    return about - 0.5 + gains[0] / (gains[0] - gains[1])


def crossings(side: int) -> Iterator[dict[str, object]]:
    """One record a boundary and width of values."""
    for first, second in BOUNDARIES:
        for width in DTYPES:
            here = predicted(first, second, side, width)
            yield {
                "from": first,
                "to": second,
                "value_bits": width,
                "noted": NOTED.get((first, second), {}).get(width),
                "predicted": predicted(first, second, SURVEY_SIDE, width),
                "predicted_here": here,
                "real": real(first, second, side, width, here),
            }
    for (first, second), noted in LIBRARIES.items():
        for width in DTYPES:
            found = break_even(first, second, (side, side), width // 8)
            here = math.nan if found is None else 100 * found
            yield {
                "from": first,
                "to": second,
                "value_bits": width,
                "noted": noted[width],
                "predicted": 100 * (break_even(first, second, (SURVEY_SIDE,) * 2, width // 8) or 0),
                "predicted_here": here,
                "real": real(first, second, side, width, here),
            }


def sizes(side: int) -> Iterator[dict[str, object]]:
    """One record a sparsity: float32, every format, and the least there can be."""
    for sparsity in SPARSITIES:
        weight = drawn(side, sparsity)
        count = int(weight.count_nonzero())
        exact = choose(weight)
        record: dict[str, object] = {"sparsity": sparsity, "kept": count, "formats": {}}
        for form in FORMATS:
            encoded = encode(weight, form)
            # Settings left open are settled alike; a block's are given.
            foretold = exact.bytes.get(str(encoded.format))
            if foretold not in (None, encoded.bytes):
                raise SystemExit(
                    f"{form} at {sparsity:%}: {foretold} foretold, {encoded.bytes} real"
                )
            record["formats"][form] = {  # type: ignore[index]
                "expected": bytes_of(form, (side, side), count, 4),
                "real": encoded.bytes,
                "as": str(encoded.format),
            }
        record["least"] = count * 4 + entropy_bits(side * side, count) / 8
        record["smallest"] = exact.smallest
        yield record


def table_of_crossings(records: list[dict[str, object]], side: int) -> Iterator[str]:
    """Markdown."""
    sides = f"formula, {SURVEY_SIDE:,} | formula, {side:,} | real, {side:,}"
    yield f"| boundary | bits a value | noted | {sides} |"
    yield "|---" * 6 + "|"
    for record in records:
        noted = "" if record["noted"] is None else f"{record['noted']:g} %"
        yield (
            f"| {record['from']} → {record['to']} | {record['value_bits']} | {noted} | "
            f"{record['predicted']:.1f} % | {record['predicted_here']:.1f} % | "
            f"{record['real']:.1f} % |"
        )


def table_of_sizes(records: list[dict[str, object]], side: int) -> Iterator[str]:
    """Markdown: bits a place."""
    yield "| sparsity | " + " | ".join(FORMATS) + " | least | smallest |"
    yield "|---" * (len(FORMATS) + 3) + "|"
    for record in records:
        real_sizes = [one["real"] * 8 / side**2 for one in record["formats"].values()]  # type: ignore[attr-defined]
        cells = [f"{bits:.3f}" for bits in (*real_sizes, record["least"] * 8 / side**2)]  # type: ignore[operator]
        yield f"| {record['sparsity']:.1%} | {' | '.join(cells)} | {record['smallest']} |"


def main() -> None:
    """Measure, write the results, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=SIDE, help="of the weights that are encoded")
    parser.add_argument("--table", action="store_true", help="print what was measured before")
    words = parser.parse_args()
    if words.table:
        found = json.loads(RESULTS.read_text())
    else:
        found = {
            "side": words.side,
            "survey_side": SURVEY_SIDE,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "crossings": list(crossings(words.side)),
            "sizes": list(sizes(words.side)),
        }
        RESULTS.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
    print("\n".join(table_of_crossings(found["crossings"], found["side"])), "\n")
    print("\n".join(table_of_sizes(found["sizes"], found["side"])))


if __name__ == "__main__":
    main()

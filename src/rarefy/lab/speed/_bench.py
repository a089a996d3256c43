"""The benchmark of single layers: our kernels, torch, and every other runtime that is here."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from rarefy.errors import BudgetError
from rarefy.lab.speed._benchmark import Benchmark, Row
from rarefy.lab.speed._machine import machine
from rarefy.lab.speed._measure import Entry, Stand, Watch
from rarefy.lab.speed._runtimes import RUNTIMES, runtime_of
from rarefy.lab.speed._shape import Shape, shape_of

SHAPES = ("768x768", "3072x768", "768x3072", "4096x4096", "64x64x3x3@56", "256x256x3x3@14")
TOKENS = (1, 32, 128, 512)
IMAGES = (1, 16)
SPARSITIES = (0.0, 0.5, 0.8, 0.9, 0.95)
"""Nothing removed comes first: what the sparse way itself costs."""


def bench(
    *,
    shapes: Sequence[str] = SHAPES,
    tokens: Sequence[int] = TOKENS,
    images: Sequence[int] = IMAGES,
    sparsities: Sequence[float] = SPARSITIES,
    threads: int = 1,
    precision: str = "float32",
    runtimes: Sequence[str] | None = None,
    skewed: bool = False,
    seconds: float = 0.5,
    rounds: int = 5,
    watch: Watch | None = None,
) -> Benchmark:
    """Time single layers, sparse by us and dense and sparse by others, on this machine.

    Each runtime has a process of its own and they take turns, so neither threads nor caches of
    one disturb another. A dense runtime is timed once a layer, on the dense weights: zeros do not
    change its speed. Outputs are compared with torch's; a wrong one has no time.

    Args:
        shapes: ``OUTPUTSxINPUTS`` or ``OUTPUTSxINPUTSxKERNELxKERNEL@SIDE``.
        tokens: Rows of the example of a Linear.
        images: Pictures of the example of a convolution.
        sparsities: Shares removed, in [0, 1); masks are unstructured and random.
        threads: Of each runtime.
        precision: ``float32``, ``bfloat16`` or ``int8``.
        runtimes: Others to time; without it all that are installed and know the precision.
        skewed: Rows and columns of unequal density, as in trained networks.
        seconds: For each time measured.
        rounds: Turns into which these are split.
        watch: Told how many of the layers are done.

    Raises:
        UnknownName: A shape, a runtime or a precision that there is none of.
        MissingExtra: A runtime that was asked for by name is not installed.
        BudgetError: A number that cannot be.
    """
    _check(sparsities, [*tokens, *images])
    work = [
        (shape, count)
        for shape in map(shape_of, shapes)
        for count in (images if shape.kernel else tokens)
    ]
    # Low precision is a choice of accelerate's, not a kernel's, so there the whole way is timed.
    ours = "rarefy kernels" if precision == "float32" else "rarefy"
    runtime_of(ours).check(precision)
    others = _others(runtimes, precision)
    here = machine()
    rows: list[Row] = []
    with Stand() as stand:
        turn = _Turn(stand, ours, others, precision, threads, skewed, seconds, rounds)
        for done, (shape, count) in enumerate(work):
            if watch:
                watch(f"{shape}, {count} {shape.rows}", done, len(work))
            rows += turn.rows(shape, count, sparsities)
    return Benchmark(tuple(rows), threads, precision, ours, here)


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is the same for every layer."""

    stand: Stand
    ours: str
    others: tuple[str, ...]
    precision: str
    threads: int
    skewed: bool
    seconds: float
    rounds: int

    def rows(self, shape: Shape, count: int, sparsities: Sequence[float]) -> list[Row]:
        """One row a sparsity, of one layer on so many tokens or images."""
        dense = shape.case(count, 0.0, skewed=self.skewed)
        cases = [shape.case(count, each, skewed=self.skewed) for each in sparsities]
        sparse_ones = [name for name in self.others if RUNTIMES[name].sparse]
        dense_ones = [name for name in self.others if not RUNTIMES[name].sparse]
        entries = [Entry(name, dense, self.precision, self.threads) for name in dense_ones]
        entries += [
            Entry(name, case, self.precision, self.threads)
            for name, case in itertools.product((self.ours, *sparse_ones), cases)
        ]
        found, peaks = self.stand.measure(entries, seconds=self.seconds, rounds=self.rounds)
        made = dict(zip(((e.runtime, e.case) for e in entries), found, strict=True))
        return [
            Row(
                work=str(shape),
                count=count,
                counted=shape.rows,
                sparsity=case.sparsity,
                ours=made[self.ours, case],
                others={
                    name: made[name, case if RUNTIMES[name].sparse else dense]
                    for name in self.others
                },
                peak=peaks[self.threads],
                moved=shape.bytes_moved(count),
            )
            for case in cases
        ]


def _others(asked: Sequence[str] | None, precision: str) -> tuple[str, ...]:
    if asked is None:
        return tuple(
            name
            for name, runtime in RUNTIMES.items()
            if not name.startswith("rarefy")
            and precision in runtime.precisions
            and not runtime.missing(precision)
        )
    for name in asked:
        runtime_of(name).check(precision)
    return tuple(asked)


def _check(sparsities: Sequence[float], counts: Sequence[int]) -> None:
    odd = [each for each in sparsities if not 0 <= each < 1]
    if odd or not sparsities:
        raise BudgetError(
            f"sparsities are shares removed, in [0, 1), at least one; found {list(sparsities)!r}."
        )
    if not counts or min(counts) < 1:
        raise BudgetError(f"tokens and images are 1 or more; found {list(counts)!r}.")

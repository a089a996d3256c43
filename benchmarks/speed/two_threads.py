"""What a second thread gives: python benchmarks/speed/two_threads.py.

Linear layers at 90 %, and a net that mixes torch's own dense operations (attention, norms, a dense
layer) with sparse ones; the same model on one thread and on two, in turns.
"""

import argparse
from functools import partial
from typing import Any

import torch
from bars import Bar, Found, finish, options, ours, progress
from models import Encoder
from torch import Tensor

import rarefy
from rarefy.lab import speed
from rarefy.lab.speed import Case, Entry, Shape, Stand

SHAPES = ((768, 768), (768, 3072), (3072, 768), (4096, 4096))
TOKENS = (32, 128, 512)
WANTED = {32: 1.6, 128: 1.9, 512: 1.9}
SPARSITY = 0.9


def mixed(tokens: int) -> tuple[Encoder, Tensor]:
    """Two layers of an encoder whose feed-forward part is sparse and whose attention is dense."""
    torch.manual_seed(0)
    model = Encoder(layers=2).eval()
    rarefy.sparsify(model, SPARSITY, only=["*.up", "*.down"]).finalize()
    return model, torch.randn(1, tokens, 768)


def run(given: argparse.Namespace) -> tuple[list[Bar], list[dict[str, Any]]]:
    """Time every case on one thread and on two, and the dense ones of torch beside them."""
    bars = {
        tokens: Bar(f"{tokens} tokens, times one thread", wanted)
        for tokens, wanted in WANTED.items()
    }
    rows: list[dict[str, Any]] = []
    with Stand() as stand:
        for tokens in TOKENS[1:2] if given.quick else TOKENS:
            cases = [Shape(*each).case(tokens, SPARSITY, skewed=True) for each in SHAPES]
            build = partial(mixed, tokens)
            nets = [] if given.direct else [Case(f"mixed net, {tokens}", build, SPARSITY)]
            for case in [*cases, *nets]:
                progress(case.name)
                entries = [
                    Entry(runtime, case, threads=threads)
                    for runtime in (ours(given), "torch")
                    for threads in (1, 2)
                ]
                found = Found(stand, entries, given)
                rows += found.rows(tokens=tokens)
                bars[tokens].add(case.name, found.times_as_fast(entries[1], entries[0]))
    return list(bars.values()), rows


def main() -> None:
    """The command."""
    given = options(__doc__ or "").parse_args()
    if speed.cores() < 2:
        raise SystemExit("there is one core here: nothing to measure.")
    machine = speed.machine()
    bars, rows = run(given)
    finish("two_threads", bars, rows, machine, given)


if __name__ == "__main__":
    main()

"""A whole step of a 4-layer transformer: python benchmarks/training/transformer.py.

Width 512, every Linear at 90 %, batches of 16 x 128 characters, AdamW, against torch dense.
"""

import argparse
from typing import Any

import results
import torch
from networks import Characters
from turns import Work
from whole import compare, work

WANTED = 3
BATCH, LENGTH = 16, 128


def build(library: str) -> Work:
    """The network and one batch."""
    torch.manual_seed(0)
    text = torch.randint(256, (BATCH, LENGTH + 1))
    return work(library, Characters(), text[:, :-1], text[:, 1:])


def run(given: argparse.Namespace) -> tuple[list[Any], results.Rows]:
    """Time it."""
    bar = results.bar("4-layer transformer, all Linear 90 %, times torch dense", WANTED)
    return [bar], compare(given, {f"d = 512, {BATCH} x {LENGTH}": (build, bar)})


if __name__ == "__main__":
    results.main("transformer", __doc__ or "", run)

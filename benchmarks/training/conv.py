"""Whole steps of convolutional nets: python benchmarks/training/conv.py.

Six 3x3 convolutions of 64 to 256 channels, and a LeNet-5-shaped net, on 128 pictures shaped like
Fashion-MNIST's; every layer at 90 % but the first, which has one input channel; AdamW, against
torch dense.
"""

import argparse
from functools import partial
from typing import Any

import networks
import results
import torch
from turns import Work
from whole import compare, work

WANTED = 1.5
BATCH = 128


def build(net: str, library: str) -> Work:
    """The network and one batch."""
    torch.manual_seed(0)
    model = getattr(networks, net)()
    return work(
        library, model, torch.randn(BATCH, 1, 28, 28), torch.randint(10, (BATCH,)), ["0.weight"]
    )


def run(given: argparse.Namespace) -> tuple[list[Any], results.Rows]:
    """Time both; only the larger has a bar."""
    bar = results.bar("6-conv net at 90 %, times torch dense", WANTED)
    cases: dict[str, Any] = {
        "6 convolutions": (partial(build, "six_convolutions"), bar),
        "LeNet-5-like": (partial(build, "lenet"), None),
    }
    return [bar], compare(given, cases)


if __name__ == "__main__":
    results.main("conv", __doc__ or "", run)

"""One of two ranks with a compressed model, each on its own data."""

import sys
from datetime import timedelta

import torch
import torch.distributed as distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from rarefy.layers import SparseConv2d, SparseLinear


def build(seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        SparseConv2d(2, 6, 3, padding=1, sparsity=0.4, dtype=torch.float64),
        nn.Flatten(),
        SparseLinear(96, 40, sparsity=0.7, dtype=torch.float64),
        nn.Tanh(),
        SparseLinear(40, 3, sparsity=0.5, dtype=torch.float64),
    )


def batch_of(number, rank):
    generator = torch.Generator().manual_seed(2 * number + rank)
    return torch.randn(5, 2, 4, 4, generator=generator, dtype=torch.float64)


def exchange(model):
    layer = model[2]
    places = torch.randperm(96 * 40, generator=torch.Generator().manual_seed(4))[: layer.count()]
    layer.adopt(layer.exchanged(places))


def train(model, losses):
    """Six steps with an exchange in the middle; ``losses(number)`` runs backward."""
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    for number in range(6):
        optimizer.zero_grad()
        losses(number)
        optimizer.step()
        if number == 2:
            exchange(model)


def main(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=40),
    )
    # Ranks start apart: DistributedDataParallel gives all of them rank 0's topology and values.
    model = build(seed=rank)
    model(batch_of(0, rank))
    wrapped = DistributedDataParallel(model)
    train(model, lambda number: wrapped(batch_of(number, rank)).square().mean().backward())

    alone = build(seed=0)
    train(
        alone,
        lambda n: sum(alone(batch_of(n, each)).square().mean() / 2 for each in (0, 1)).backward(),
    )
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, msg=lambda m, n=name: n + m)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

"""What holding zeros costs a training step: python benchmarks/holding.py.

LeNet-300-100, batches of 128, SGD with Nesterov momentum, one thread; the methods take turns.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

import rarefy

ROUNDS = 300


def step_of(method: str | None) -> Callable[[], None]:
    """One training step at 90 % sparsity, on the same batch each time."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    if method:
        rarefy.sparsify(model, 0.9, method, optimizer=optimizer, steps=10 * ROUNDS, seed=0)
    inputs, targets = torch.randn(128, 784), torch.randint(10, (128,))

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return step


def main() -> None:
    """Print the median and the quartiles of each, in milliseconds."""
    torch.set_num_threads(1)
    steps = {name or "dense": step_of(name) for name in (None, "static", "set", "rigl", "snfs")}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(ROUNDS + 30):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number >= 30:
                times[name].append(1e3 * (time.perf_counter() - start))
    for name, taken in times.items():
        low, middle, high = statistics.quantiles(taken, n=4)
        print(f"{name:>7} {middle:6.2f} ms ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()

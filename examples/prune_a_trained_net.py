"""Prune a trained network to a tenth, train on with the zeros held, save it small, load it."""

import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import rarefy


def build() -> nn.Module:
    """A perceptron of 51,800 weights."""
    return nn.Sequential(nn.Linear(64, 700), nn.ReLU(), nn.Linear(700, 10))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    """An ordinary loop of 600 steps over the first 1,437 pictures; the others judge."""
    for _ in range(600):
        chosen = torch.randint(1437, (32,))
        loss = functional.cross_entropy(model(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main(folder: Path) -> dict[str, float]:
    """Train, prune, train on, save and load; print and give the accuracies."""
    torch.manual_seed(0)
    x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
    x = x.float() / 6 - 0.8
    accuracy: dict[str, float] = {}

    def score(name: str, model: nn.Module) -> None:
        accuracy[name] = float((model(x[1437:]).argmax(1) == y[1437:]).float().mean())
        print(f"{name:>9}: accuracy {accuracy[name]:.1%}")

    model = build()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    train(model, optimizer, x, y)
    score("dense", model)
    sparsifier = rarefy.sparsify(model, 0.9)  # one ranking over all weights, by magnitude
    score("pruned", model)
    sparsifier.attach(optimizer)  # from here on the zeros hold
    train(model, optimizer, x, y)
    score("retrained", model)
    path = folder / "sparse.safetensors"
    rarefy.save(model, path)
    score("loaded", rarefy.load(path, build()))
    print(rarefy.report(path))
    return accuracy


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))

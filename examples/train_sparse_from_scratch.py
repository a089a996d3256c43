"""Train with 3 % of the weights from the first step to the last: RigL against a fixed mask."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import rarefy

EPOCHS, BATCH, TRAINED_ON = 20, 32, 1437


def train(method: str, inputs: torch.Tensor, targets: torch.Tensor) -> tuple[nn.Module, int]:
    """Train a small perceptron by ``method``; also how many weights ever came back."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    steps = EPOCHS * (len(targets) // BATCH)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    # The one line that makes it sparse. The loop below knows nothing of it.
    sparsifier = rarefy.sparsify(model, 0.97, method, optimizer=optimizer, steps=steps, seed=0)
    first = {name: mask.clone() for name, mask in sparsifier.masks.items()}

    for _ in range(steps):
        chosen = torch.randint(len(targets), (BATCH,))
        loss = functional.cross_entropy(model(inputs[chosen]), targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()

    moved = sum(int((sparsifier.masks[name] & ~mask).sum()) for name, mask in first.items())
    sparsifier.finalize()  # checked, and let go: a plain model with its zeros
    return model, moved


def main() -> dict[str, float]:
    """Train both, print what came out, and give the accuracies."""
    torch.set_num_threads(1)  # too small a network to share between cores
    digits = load_digits()
    inputs = torch.tensor(digits.data, dtype=torch.float32) / 6 - 0.8
    targets = torch.tensor(digits.target)
    accuracy = {}
    for method in ("static", "rigl"):
        model, moved = train(method, inputs[:TRAINED_ON], targets[:TRAINED_ON])
        right = model(inputs[TRAINED_ON:]).argmax(1) == targets[TRAINED_ON:]
        accuracy[method] = float(right.float().mean())
        weights = sum(int((p != 0).sum()) for p in model.parameters() if p.dim() == 2)
        print(
            f"{method:>6}: {accuracy[method]:.1%} with {weights:,} weights, {moved:,} of them new"
        )
    return accuracy


if __name__ == "__main__":
    main()

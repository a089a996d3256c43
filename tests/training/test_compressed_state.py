"""At an exchange optimizer state is remapped, slot by slot."""

import pytest
import torch

import rarefy
from rarefy import growth

OPTIMIZERS = ["sgd", "adamw", "adam", "rmsprop", "adagrad", "subclass"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rule", ["set", "rigl"])
def test_state_is_remapped_and_not_scrambled(twins, rule, optimizer):
    """At one exchange: of survivors bit-equal, of arrivals zero."""
    model = twins.net()
    made = twins.optimizers[optimizer](model.parameters())
    sparsifier = rarefy.sparsify(
        model,
        0.75,
        rule,
        optimizer=made,
        steps=40,
        when="every 10",
        seed=3,
        storage="compressed",
        growth=growth.Random(share=0.5) if rule == "set" else None,
    )
    for batch in twins.batches(9):
        made.zero_grad()
        twins.loss(model, batch).backward()
        made.step()
    before = {n: dense_states(twins, made, s) for n, s in sparsifier.storages().items()}
    old = sparsifier.masks
    with torch.no_grad():
        sparsifier.step = 10
        for storage in sparsifier.storages().values():
            storage.weight_values.grad = torch.ones_like(storage.weight_values)
        if rule == "rigl":
            sparsifier._record()
            loss_with_grad(twins, model)
        assert sparsifier._change({})
    after = {n: dense_states(twins, made, s) for n, s in sparsifier.storages().items()}
    new = sparsifier.masks
    for name in old:
        arrivals = new[name] & ~old[name]
        assert arrivals.any()
        assert before[name], "a state to look at"
        for key, was in before[name].items():
            stayed = old[name] & new[name]
            assert torch.equal(after[name][key][stayed], was[stayed]), (name, key)
            if key != "gradient":
                assert not after[name][key][arrivals].any(), (name, key)


def loss_with_grad(twins, model):
    with torch.enable_grad():
        twins.loss(model, twins.batches(1, seed=9)[0]).backward()


def dense_states(twins, optimizer, storage):
    values = storage.weight_values
    found = {}
    for key, tensor in [*twins.flat(optimizer.state[values]), ("values", values.detach())]:
        if tensor.shape == values.shape:
            dense = torch.zeros(storage.weight_shape(), dtype=tensor.dtype)
            dense.view(-1)[storage.places()] = tensor[: storage.count()]
            found[key] = dense
    return found

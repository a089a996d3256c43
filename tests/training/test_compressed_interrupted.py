"""An exchange that is interrupted is made whole, or not at all."""

import pytest
import torch

import rarefy
from rarefy.training import _moving


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_exchange_that_is_interrupted_is_whole(twins, monkeypatch, error):
    whole = twins.run("compressed", "set", steps=20)
    counted = []
    plain = _moving.copying
    monkeypatch.setattr(
        _moving, "copying", lambda there, new: counted.append(0) or plain(there, new)
    )
    twins.run("compressed", "set", steps=20)
    copies = len(counted)
    assert copies >= 12  # values, gradient and two moments of three weights
    for broken in range(copies):
        _interrupt(monkeypatch, plain, broken, error)
        found = _go_on(twins, error)
        for name, wanted in whole[0].state_dict().items():
            assert torch.equal(found[0].state_dict()[name], wanted), (broken, name)
        found[1].check()


def _interrupt(monkeypatch, plain, broken, error):
    counted = iter(range(10**6))

    def copying(there, new):
        number, move, left = next(counted), plain(there, new), [error("now")]

        def half():
            if number == broken and left:
                there.view(-1)[: there.numel() // 2].copy_(new.view(-1)[: there.numel() // 2])
                raise left.pop()
            move()

        return half

    monkeypatch.setattr(_moving, "copying", copying)


def _go_on(twins, error):
    """The run of ``twins.run("compressed", "set", steps=20)``, going on after an interruption."""
    model = twins.net()
    optimizer = twins.optimizers["adamw"](model.parameters())
    sparsifier = rarefy.sparsify(
        model,
        0.75,
        "set",
        optimizer=optimizer,
        steps=20,
        when="every 10 until 75%",
        seed=3,
        storage="compressed",
    )
    interrupted = 0
    for batch in twins.batches(20):
        optimizer.zero_grad()
        twins.loss(model, batch).backward()
        try:
            optimizer.step()
        except error:
            interrupted += 1
    assert interrupted == 1
    return model, sparsifier

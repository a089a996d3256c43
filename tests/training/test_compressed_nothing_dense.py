"""From the end of sparsify on, nothing has the shape of a weight."""

import pytest
import torch
from torch import nn
from torch.optim import AdamW
from torch.utils._python_dispatch import TorchDispatchMode

import rarefy
from rarefy import growth

NEAR = growth.Neighbours(outputs=(4, 11), inputs=(3, 4))
RULES = {
    "set": ("set", {}),
    "rigl": ("rigl", {}),
    "neighbours": ("set", {"growth": NEAR, "only": "0.*"}),
    "rigl, blocks": ("rigl", {"pattern": "block 2x2"}),
}


class NothingDense(TorchDispatchMode):
    """Raises where a floating tensor has the shape of a weight, either way round."""

    def __init__(self, shapes):
        super().__init__()
        self.shapes = {*shapes, *((b, a) for a, b in shapes)}
        self.seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, list | tuple) else [result]:
            if isinstance(each, torch.Tensor) and each.is_floating_point():
                self.seen += 1
                assert tuple(each.shape) not in self.shapes, func
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", RULES)
def test_nothing_dense_is_made_from_the_end_of_sparsify_on(rule, dtype):
    method, given = RULES[rule]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        # Sides of which no few rows of one weight have the shape of the other.
        model = nn.Sequential(nn.Linear(12, 44), nn.Tanh(), nn.Linear(44, 28)).to(dtype)
    optimizer = AdamW(model.parameters())
    sparsifier = rarefy.sparsify(
        model,
        0.75,
        method,
        optimizer=optimizer,
        steps=40,
        when="every 5",
        seed=0,
        storage="compressed",
        fully_sparse=True,
        **given,
    )
    shapes = [tuple(s.weight_shape()) for s in sparsifier.storages().values()]
    data = [torch.randn(8, 12, dtype=dtype) for _ in range(24)]
    with NothingDense(shapes) as watch:
        for batch in data:
            optimizer.zero_grad()
            model(batch).square().mean().backward()
            optimizer.step()
    assert watch.seen > 100
    assert sum("churn" in record for record in sparsifier.history) >= 3

"""scipy's CSR matrices, for chains of Linear and ReLU."""

from importlib import import_module
from typing import Any

import numpy as np
from torch import nn

from rarefy.lab.speed._prepared import Prepared, arrays_of
from rarefy.lab.speed._torch import chain_of
from rarefy.metrics import Example


def csr(model: nn.Module, example: Example, threads: int, precision: str) -> Prepared:
    """The chain on one thread, whatever is asked: scipy's product has no more.

    Raises:
        TargetError: The network is something else.
    """
    del precision
    sparse = import_module("scipy.sparse")
    layers: list[tuple[Any, Any]] = []
    for layer in chain_of(model, "scipy"):
        if isinstance(layer, nn.Linear):
            bias = None if layer.bias is None else layer.bias.detach().numpy()[:, None]
            layers.append((sparse.csr_matrix(layer.weight.detach().numpy()), bias))
        else:
            layers.append((None, None))
    (first,) = arrays_of(example)

    def call() -> Any:  # noqa: ANN401 - an array
        x = np.ascontiguousarray(first.T)
        for weight, bias in layers:
            if weight is None:
                x = np.maximum(x, 0, out=x)
            else:
                x = weight @ x
                x = x if bias is None else np.add(x, bias, out=x)
        return np.ascontiguousarray(x.T)

    held = [weight for weight, _ in layers if weight is not None]
    size = sum(w.data.nbytes + w.indices.nbytes + w.indptr.nbytes for w in held)
    return Prepared(call, size, note="scipy has one thread" if threads > 1 else "")

"""``rarefy.accelerate``: a copy of a sparse model that runs faster, or smaller, on this CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from rarefy.front._sparsify import plain_of

if TYPE_CHECKING:
    from rarefy._types import Batches


def accelerate(
    model: nn.Module,
    example: Any,  # noqa: ANN401 - a tensor, a tuple of arguments, or a mapping of keywords
    *,
    goal: str = "latency",
    precision: str = "float32",
    data: Batches | None = None,
    margin: float = 0.1,
) -> nn.Module:
    """A copy of ``model`` whose sparse layers run sparse where that is faster here.

    The model is traced on ``example``; where a whole module can be traced, its layers run in chains
    of one native call each. Every layer and every chain is timed on this machine, with the
    threads and the batch of the example, beside torch, and stays dense unless sparse is faster by
    ``margin``. What cannot be traced runs its own code, with its single layers sparse; what
    stays dense and why is in ``explain()``. Timings are remembered in the user's cache folder
    (``RAREFY_TIMINGS=off`` keeps them in memory, a path keeps them there).

    What is returned is an ordinary module of the same class: same keys, signature and attributes,
    tied weights, ``generate()``; it can be copied, pickled, exported and compiled. It is in
    evaluation mode and frozen: ``train()`` and ``backward()`` raise. Any batch size gives right
    answers. Calls that a chain cannot answer (gradients, autocast, other dtypes, transforms of
    ``torch.func``) run the masked dense weights, as does a model whose weights changed since.

    Args:
        model: On the CPU; wrapped (torch.compile, DataParallel) or plain. It is left as it is.
        example: What the model will be called with: a tensor, a tuple of positional arguments, or
            a mapping of keyword arguments. Its batch and length are what is timed.
        goal: ``"latency"``; or ``"memory"``, which keeps every layer in the smaller of packed and
            dense, even where that is slower, and tells the price.
        precision: ``"float32"``; or ``"int8"``, ``"bfloat16"``: values of sparse linear layers are
            rounded where that is faster, and ``explain()`` shows what it costs on ``data``.
        data: Batches that can be read more than once; wanted with low precision.
        margin: Sparse must be this share faster than dense to be taken; 0.1 is 10 %.

    Returns:
        The copy, with ``explain(break_even=False)`` and ``record``.

    Raises:
        TargetError: The model is not on the CPU, or cannot be copied.
        UnknownName: No such goal or precision.
        EvidenceError: Low precision without data.
        AttachError: The model is an accelerated one already.
    """
    from rarefy.acceleration import accelerated  # loads the tracer, so not before it is asked for

    return accelerated(
        plain_of(model), example, goal=goal, precision=precision, data=data, margin=margin
    )

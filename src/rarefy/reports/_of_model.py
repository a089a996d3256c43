"""Measures a model, with or without its Sparsifier, into a Report."""

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from rarefy.errors import ScoreError
from rarefy.metrics import (
    Counts,
    Example,
    Latency,
    TrainingMeter,
    batch_of,
    counts_of,
    dead,
    flops,
    latency,
    run,
    sizes,
    undisturbed,
)
from rarefy.reports._histogram import Histogram, histogram
from rarefy.reports._picture import picture
from rarefy.reports._report import Report
from rarefy.reports._training import training_of
from rarefy.targets import find, stored, stored_of, unwrap, weight_of
from rarefy.training import Sparsifier, masks_of

_SECONDS = 1.0
"""Time spent on latency."""

_MEANINGS = {
    "dense": "nothing is removed",
    "masked": "the zeros are simulated: they are stored like any number and run on dense kernels, "
    "so nothing is smaller or faster in memory yet; rarefy.save() writes the kept weights only",
    "compressed": "only the kept weights and where they stand are in memory, and only they are "
    "multiplied",
    "partly compressed": "of some weights only what is kept is in memory; the zeros of the others "
    "are stored and run on dense kernels",
}


def of_model(
    model: nn.Module,
    sparsifier: Sparsifier | None,
    example: Example,
    evaluate: Callable[[nn.Module], Any] | None,
    reference: nn.Module | None,
    fast: nn.Module | None = None,
    meter: TrainingMeter | None = None,
) -> Report:
    """The Report of ``model``. See :func:`rarefy.reports.report`."""
    plain = unwrap(model)
    masks = sparsifier.masks if sparsifier else masks_of(plain)
    targets = sparsifier.targets if sparsifier else find(plain)
    words = sparsifier.words if sparsifier else {}
    counts = counts_of(plain, masks, pattern=words.get("pattern"))
    state = state_of(counts, stored(plain))
    work = None if example is None else flops(model, example)
    return Report(
        name=type(plain).__name__,
        kind="model",
        state=state,
        meaning=_MEANINGS[state],
        counts=counts,
        sizes=sizes(counts, plain),
        dead=dead(masks, targets),
        flops=work,
        latency={} if example is None else _timed(model, reference, fast, example),
        scores=_scores(model, reference, evaluate),
        method=sparsifier.method if sparsifier else None,
        words=words,
        step=sparsifier.step if sparsifier else None,
        history=tuple(dict(record) for record in sparsifier.history) if sparsifier else (),
        dense_bytes=None if reference is None else _state_bytes(reference),
        training=training_of(sparsifier, work, meter),
        histograms={name: _histogram(plain, name, mask) for name, mask in masks.items()},
        pictures={name: picture(targets[name].matrix(mask)) for name, mask in masks.items()},
        accelerated=_layers_of(fast),
        absent=_absent(example, evaluate),
    )


def state_of(counts: Counts, compressed: Collection[str] = ()) -> str:
    """``"dense"`` where nothing is removed; else how what is sparse is held."""
    sparse = [count for count in counts.targets if count.kept != count.size]
    held = [any(name in compressed for name in count.aliases) for count in sparse]
    if not sparse:
        return "compressed" if compressed else "dense"
    if all(held):
        return "compressed"
    return "partly compressed" if any(held) else "masked"


def _histogram(model: nn.Module, name: str, mask: Tensor) -> Histogram:
    layer = stored_of(model, name)
    if layer is None:
        return histogram(weight_of(model, name).detach(), mask)
    values = layer.weight_values.detach()[: layer.count()]
    return histogram(values, torch.ones_like(values, dtype=torch.bool))


def _timed(
    model: nn.Module, reference: nn.Module | None, fast: nn.Module | None, example: Example
) -> dict[str, Latency]:
    named = {"this": model, "dense": reference, "fast": fast}
    models = {who: each for who, each in named.items() if each is not None}
    calls = {who: _call(each, example) for who, each in models.items()}
    with ExitStack() as stack:
        for each in models.values():
            stack.enter_context(undisturbed(each))
        stack.enter_context(torch.no_grad())
        return latency(calls, _SECONDS, batch=batch_of(example))


def _layers_of(fast: nn.Module | None) -> tuple[Mapping[str, Any], ...]:
    """What accelerating found about each weight; nothing where the model cannot tell."""
    explain = getattr(fast, "explain", None)
    return () if explain is None else tuple(explain().to_dict()["layers"])


def _call(model: nn.Module, example: Example) -> Callable[[], object]:
    return lambda: run(model, example)


def _scores(
    model: nn.Module, reference: nn.Module | None, evaluate: Callable[[nn.Module], Any] | None
) -> dict[str, dict[str, float]]:
    if evaluate is None:
        return {}
    models = {"this": model} if reference is None else {"this": model, "dense": reference}
    return {who: _scored(evaluate, each) for who, each in models.items()}


def _scored(evaluate: Callable[[nn.Module], Any], model: nn.Module) -> dict[str, float]:
    with undisturbed(model):
        found = evaluate(model)
    named = found if isinstance(found, Mapping) else {"score": found}
    return {str(name): _number(name, number) for name, number in named.items()}


def _number(name: object, number: float) -> float:
    try:
        return float(number)
    except (TypeError, ValueError) as error:
        raise ScoreError(
            f"evaluate(model) gave {type(number).__name__} for {name!r}. Let it return a number, "
            "or a mapping of names to numbers."
        ) from error


def _state_bytes(model: nn.Module) -> int:
    state = unwrap(model).state_dict(keep_vars=True).values()
    once = {id(tensor): tensor for tensor in state if isinstance(tensor, Tensor)}
    return sum(tensor.numel() * tensor.element_size() for tensor in once.values())


def _absent(example: Example, evaluate: object) -> dict[str, str]:
    absent = {}
    if example is None:
        absent["FLOPs and latency"] = "no example was given: report(model, example)"
    if evaluate is None:
        absent["score"] = "no evaluate was given: report(model, example, evaluate=evaluate)"
    return absent

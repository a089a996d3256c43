"""Through the model from the largest module down: capture what can be, name what cannot."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from rarefy.acceleration._arguments import Argument
from rarefy.acceleration._calls import Calls
from rarefy.acceleration._choose import Choice, Wish, choose
from rarefy.acceleration._findings import Findings
from rarefy.acceleration._install import install
from rarefy.acceleration._judge import Judge
from rarefy.acceleration._leaf import is_leaf
from rarefy.acceleration._prepare import Unit, prepare, weight_names
from rarefy.acceleration._rounding import Rounding
from rarefy.acceleration._rows import LayerRow
from rarefy.acceleration._sources import density_of, source_of
from rarefy.acceleration._swap import plain_class
from rarefy.acceleration._trace import Uncapturable


def descend(
    model: nn.Module,
    calls: Calls,
    sparse: set[int],
    judge: Judge,
    wish: Wish,
    findings: Findings,
    rounding: Rounding | None = None,
) -> None:
    """Capture ``model``, or what is possible of its children.

    A module is tried if the example called it, with arguments that can be told, if none of its
    plain attributes changed in the run, and no hook looks into it. Where a module fails, that is
    noted and its children are tried.

    Args:
        model: The copy.
        calls: What the example showed.
        sparse: ``id`` of each parameter with enough zeros.
        judge: Who is faster.
        wish: What was asked for.
        findings: Written to.
        rounding: Says which layers may be rounded.
    """
    waiting = [("", model)]
    while waiting:
        path, module = waiting.pop(0)
        if is_leaf(module) or not any(id(p) in sparse for p in module.parameters()):
            continue
        why = _refusal(module, calls)
        if why is None:
            try:
                _capture(module, path, calls.first[module], judge, wish, findings, rounding)
                continue
            except Uncapturable as error:
                why = str(error)
        if module in calls.count:  # a ModuleList is never called, and nobody misses it
            findings.leave(path, plain_class(module), why)
        waiting[:0] = [
            (f"{path}.{name}" if path else name, child) for name, child in module.named_children()
        ]


def _refusal(module: nn.Module, calls: Calls) -> str | None:
    if module not in calls.count or module not in calls.first:
        return "the example did not call it"
    if module in calls.returned:
        return f"it gives a {calls.returned[module]}, which is no tensor"
    for name, inner in module.named_modules():
        if inner in calls.changed:
            where = f"{name}.{calls.changed[inner]}" if name else calls.changed[inner]
            return f"its forward changes an attribute ({where}), which captured code would not"
        if _hooked(inner):
            return f"a forward hook on {name or 'it'} would no longer be called"
    return None


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _capture(
    module: nn.Module,
    path: str,
    arguments: Mapping[str, Argument],
    judge: Judge,
    wish: Wish,
    findings: Findings,
    rounding: Rounding | None,
) -> None:
    unit = prepare(module, path, arguments)
    if rounding is not None:
        rounding.look_at(unit)
    choice = choose(unit, judge, wish)
    if choice.regions:
        install(unit, choice, judge, arguments)
        findings.captured.append(path)
    judge.forget()
    _gather(unit, choice, findings)


def _gather(unit: Unit, choice: Choice, findings: Findings) -> None:
    number = 0
    for chain in choice.chains:
        if chain.kept:
            chain.number = number
            for name in chain.layers:
                row = next(row for row in choice.layers.values() if row.name == name)
                row.chain = number
            number += 1
        findings.chains.append(chain)
    for row in choice.layers.values():
        findings.layers[row.name] = row
    for node, why in unit.reasons.items():
        for name in weight_names(node):
            source = source_of(unit.module, name)
            full = unit.name(name)
            if source is None or full in findings.layers:
                continue
            weight = source.tensor(unit.module)
            op = getattr(node.target, "_opname", "?")
            row = LayerRow(full, op, tuple(weight.shape), density_of(weight), why=why)
            findings.layers[full] = row

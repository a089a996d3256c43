"""Runs of the example, watched: which module was called, how often, and with what."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils import _pytree

from rarefy.acceleration._arguments import Argument, Opaque, argument_of, ordered
from rarefy.metrics import Example, run, undisturbed


@dataclass(slots=True)
class Calls:
    """What the run of the example showed."""

    first: dict[nn.Module, dict[str, Argument]] = field(default_factory=dict)
    """The arguments of the first call of each module, by name."""
    count: dict[nn.Module, int] = field(default_factory=dict)
    """Calls of each module; one that was never called is not in it."""
    shapes: dict[nn.Module, tuple[int, ...]] = field(default_factory=dict)
    """Shape of the first tensor of the first call of each module."""
    changed: dict[nn.Module, str] = field(default_factory=dict)
    """Modules with a plain attribute that the run changed, and the attribute."""
    returned: dict[nn.Module, str] = field(default_factory=dict)
    """Modules that gave something that cannot be captured, such as a cache, and its type."""


def watch(model: nn.Module, example: Example) -> Calls:
    """Run ``example`` through ``model`` twice and see who is called, and then with what.

    Hooks on a transformer layer switch off its fused path, which reads the weights of its layers
    by itself; so calls are counted first, by a hook that no layer sees. The model is left as it
    was: buffers, random state, and the plain attributes that changed.

    Args:
        model: In evaluation mode.
        example: A tensor, a tuple of positional arguments, or a mapping of keyword arguments.
    """
    calls = Calls()
    before = snapshot(model)
    with undisturbed(model), torch.no_grad(), ExitStack() as stack:
        counter = register_module_forward_pre_hook(_count(calls, set(model.modules())))
        with counter:
            run(model, fresh(example))
        for module in model.modules():
            hook = module.register_forward_pre_hook(_note(calls), with_kwargs=True)
            stack.callback(hook.remove)
            stack.callback(module.register_forward_hook(_note_output(calls)).remove)
        run(model, fresh(example))
    calls.changed = put_back(before)
    return calls


def fresh(example: Example) -> Example:
    """The same values in tensors of their own, as the model may write into them."""
    return _pytree.tree_map_only(Tensor, lambda tensor: tensor.detach().clone(), example)


Snapshot = dict[nn.Module, dict[str, Any]]


def snapshot(model: nn.Module) -> Snapshot:
    """The plain attributes of every module, containers copied so that a change in them is seen."""
    return {module: _plain(module) for module in model.modules()}


def put_back(before: Snapshot) -> dict[nn.Module, str]:
    """Make the attributes what they were.

    Returns:
        The modules that had changed, and one attribute of each.
    """
    changed: dict[nn.Module, str] = {}
    for module, old in before.items():
        now = _plain(module)
        for name in {**old, **now}:
            if name not in now or name not in old or not _same(old[name], now[name]):
                changed.setdefault(module, name)
                if name in old:
                    vars(module)[name] = old[name]
                else:
                    vars(module).pop(name)
    return changed


def _count(calls: Calls, ours: set[nn.Module]) -> Any:  # noqa: ANN401 - a hook
    def count(module: nn.Module, args: object) -> None:
        del args
        if module in ours:
            calls.count[module] = calls.count.get(module, 0) + 1

    return count


def _note(calls: Calls) -> Any:  # noqa: ANN401 - a hook
    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if module in calls.first:
            return
        try:
            given = ordered(module, args, kwargs)
        except (TypeError, ValueError):  # *args, or a signature that cannot be read
            calls.first[module] = {"*args": Opaque("*args")}
        else:
            calls.first[module] = {name: argument_of(value) for name, value in given.items()}
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        if tensors:
            calls.shapes[module] = tuple(tensors[0].shape)

    return note


def _note_output(calls: Calls) -> Any:  # noqa: ANN401 - a hook
    def note(module: nn.Module, args: object, output: object) -> None:
        del args
        for leaf in _pytree.tree_leaves(output):
            if not (isinstance(leaf, Tensor) or leaf is None or type(leaf) in _PLAIN):
                calls.returned.setdefault(module, type(leaf).__name__)

    return note


_PLAIN = (bool, int, float, str)
_TABLES = ("_parameters", "_buffers", "_non_persistent_buffers_set", "_modules", "training")


def _plain(module: nn.Module) -> dict[str, Any]:
    return {
        name: copy.copy(value) if isinstance(value, list | dict | set) else value
        for name, value in vars(module).items()
        if name not in _TABLES
        and not name.startswith("_rarefy")
        and not name.endswith("_hooks")
        and "_hooks_" not in name
    }


def _same(one: object, other: object) -> bool:
    if one is other:
        return True
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return False
    try:
        return bool(one == other)
    except Exception:  # whatever its own __eq__ raises: it cannot be said to be the same
        return False

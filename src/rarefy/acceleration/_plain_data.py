"""Chains, arguments and guards as JSON data and back, with everything checked on the way back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rarefy.acceleration._accepts import Accepts, TensorWanted
from rarefy.acceleration._arguments import Argument, Constant, TensorLike
from rarefy.acceleration._conditions import Unreadable, conditions
from rarefy.acceleration._plain_script import DTYPES, Unstorable, damaged, read, told, whole
from rarefy.acceleration._sources import Recipe, Source
from rarefy.acceleration._translate import Chain

_MOST_ELEMENTS = 1 << 28
"""Elements of an example, so that a file cannot ask for all the memory there is."""
_MOST_CONSTANTS = 4096


def chain_data(chain: Chain) -> dict[str, Any]:
    """A chain as data."""
    recipes = [
        {
            "kind": recipe.kind,
            "sources": [
                None if s is None else [list(s.path), s.table, s.key] for s in recipe.sources
            ],
            "size": recipe.size,
            "eps": recipe.eps,
            "precision": recipe.precision,
        }
        for recipe in chain.recipes
    ]
    return {"program": chain.program, "recipes": recipes}


def chain_of(data: Mapping[str, Any]) -> Chain:
    """The chain; its program and parameters are checked when it is packed.

    Raises:
        FileError: The data are of another kind.
    """
    recipes = []
    for row in data["recipes"]:
        if row["kind"] not in ("weight", "turned", "floats", "affine", "norm"):
            raise damaged("a section is made in no known way")
        eps = float(row["eps"])
        if not 0 <= eps < math.inf:
            raise damaged("a number is out of its range")
        sources = tuple(None if s is None else _source_of(s) for s in row["sources"])
        size, precision = whole(row["size"]), str(row["precision"])
        recipes.append(Recipe(row["kind"], sources, size, eps, precision))
    return Chain(str(data["program"]), tuple(recipes))


def _source_of(data: Any) -> Source:  # noqa: ANN401 - from a file
    path, table, key = data
    if table not in ("_parameters", "_buffers") or not all(
        isinstance(part, str) for part in (*path, key)
    ):
        raise damaged("a parameter has no place")
    return Source(tuple(path), table, key)


def argument_data(argument: Argument) -> dict[str, Any]:
    """An argument as data."""
    if isinstance(argument, TensorLike):
        return {"shape": list(argument.shape), "dtype": str(argument.dtype).split(".")[1]}
    if isinstance(argument, Constant):
        return {"value": told(argument.value)}
    raise Unstorable("an argument")


def argument_of(data: Mapping[str, Any]) -> TensorLike | Constant:
    """The argument.

    Raises:
        FileError: The data tell none, or one of more elements than can be.
    """
    if "value" in data:
        value = read(data["value"])
        if value is not None and type(value) not in (bool, int, float, str):
            raise damaged("an argument is of no known kind")
        return Constant(value)
    shape = tuple(whole(side) for side in data["shape"])
    if data["dtype"] not in DTYPES or math.prod(shape) > _MOST_ELEMENTS:
        raise damaged("an example tensor is of no possible kind")
    return TensorLike(shape, DTYPES[data["dtype"]])


def accepts_data(accepts: Accepts) -> dict[str, Any]:
    """What calls are accepted, as data."""
    wanted = {
        name: {
            "dtype": str(w.dtype).split(".")[1],
            "sizes": list(w.sizes),
            "least": list(w.least),
        }
        if isinstance(w, TensorWanted)
        else {"value": told(w.value)}
        for name, w in accepts.wanted.items()
    }
    return {
        "names": list(accepts.names),
        "wanted": wanted,
        "conditions": [condition.text for condition in accepts.conditions],
    }


def accepts_of(data: Mapping[str, Any]) -> Accepts:
    """What calls are accepted.

    Raises:
        FileError: The data are of another kind.
    """
    wanted: dict[str, TensorWanted | Constant] = {}
    for name, row in data["wanted"].items():
        if "value" in row:
            value = argument_of(row)
            if isinstance(value, Constant):
                wanted[name] = value
            continue
        sizes = tuple(None if size is None else whole(size) for size in row["sizes"])
        least = tuple(whole(size, 2) for size in row["least"])
        if row["dtype"] not in DTYPES or len(least) != len(sizes):
            raise damaged("an argument is of no known kind")
        wanted[name] = TensorWanted(DTYPES[row["dtype"]], sizes, least)
    try:
        found = conditions([str(text) for text in data["conditions"]])
    except Unreadable as error:
        raise damaged("a condition on sizes is of no known kind") from error
    return Accepts(tuple(str(name) for name in data["names"]), wanted, found)


def constants_data(constants: Mapping[str, Tensor]) -> dict[str, Any]:
    """Small tensors as data.

    Raises:
        Unstorable: They are not small.
    """
    if sum(tensor.numel() for tensor in constants.values()) > _MOST_CONSTANTS:
        raise Unstorable("large constants")
    return {
        name: [str(t.dtype).split(".")[1], list(t.shape), [told(v) for v in t.flatten().tolist()]]
        for name, t in constants.items()
    }


def constants_of(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors.

    Raises:
        FileError: The data are of another kind.
    """
    found = {}
    for name, (dtype, shape, values) in data.items():
        sides = [whole(side, _MOST_CONSTANTS) for side in shape]
        if dtype not in DTYPES or math.prod(sides) != len(values):
            raise damaged("a constant is of no possible kind")
        numbers = [read(value) for value in values]
        found[str(name)] = torch.tensor(numbers, dtype=DTYPES[dtype]).reshape(sides)
    return found

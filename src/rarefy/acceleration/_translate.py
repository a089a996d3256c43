"""A region of a graph as a chain: the text of its program, and how its sections are packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from rarefy.acceleration._clean import shape_of
from rarefy.acceleration._piece import Layer, Param, Part, Piece
from rarefy.acceleration._sources import Recipe
from rarefy.kernels import Place, Step, text


@dataclass(frozen=True, slots=True)
class Chain:
    """What is computed in one call."""

    program: str
    """See :func:`rarefy.kernels.steps`."""
    recipes: tuple[Recipe, ...]
    """How each section of the packed bytes is made, in order."""


@dataclass(slots=True)
class Translated:
    """A chain and where it meets the graph."""

    chain: Chain
    inputs: list[fx.Node]
    outputs: list[fx.Node]
    layers: list[Layer]
    """The weights, in the order in which they are used."""


def translate(
    region: Sequence[fx.Node],
    pieces: Mapping[fx.Node, Piece],
    module: nn.Module,
    precision: Mapping[str, str] | None = None,
) -> Translated:
    """The chain that computes ``region``.

    Args:
        region: Its nodes in the order of the graph.
        pieces: Their steps.
        module: Holds the parameters.
        precision: How the values of a weight are kept, by its name; float32 for all others.
    """
    inside = set(region)
    read = dict.fromkeys(b for node in region for b in pieces[node].inputs if b not in inside)
    inputs = list(read)
    outputs = [node for node in region if set(node.users) - inside]
    writer = _Writer(module, precision or {})
    for node in inputs:
        writer.registers[node] = writer.step("input", (), {"rank": len(shape_of(node))})
    for node in region:
        writer.node(node, pieces[node])
    for node in outputs:
        writer.steps.append(Step("output", -1, (writer.registers[node],)))
    layers = [layer for node in region if (layer := pieces[node].layer) is not None]
    return Translated(
        Chain(text(writer.steps), tuple(writer.sections.values())), inputs, outputs, layers
    )


def alone(piece: Piece, module: nn.Module, rank: int, precision: str = "float32") -> Chain:
    """The chain of one layer: an input of ``rank`` sides, the layer, its output.

    Raises:
        TargetError: A parameter is gone.
    """
    kept = {} if piece.layer is None else {piece.layer.name: precision}
    writer = _Writer(module, kept)
    made = writer.step("input", (), {"rank": rank})
    for part in piece.parts:
        made = writer.part(part, (made,))
    writer.steps.append(Step("output", -1, (made,)))
    return Chain(text(writer.steps), tuple(writer.sections.values()))


class _Writer:
    """Numbers registers and sections as it goes."""

    def __init__(self, module: nn.Module, precision: Mapping[str, str]) -> None:
        self._module = module
        self._precision = precision
        self._made = 0
        self.steps: list[Step] = []
        self.registers: dict[fx.Node, int] = {}
        self.sections: dict[object, Recipe] = {}

    def node(self, node: fx.Node, piece: Piece) -> None:
        read = tuple(self.registers[before] for before in piece.inputs)
        for part in piece.parts:
            read = (self.part(part, read),)
        self.registers[node] = read[0]

    def part(self, part: Part, read: tuple[int, ...]) -> int:
        options = {key: self._option(key, value) for key, value in part.options.items()}
        return self.step(part.op, read, options)

    def step(self, op: str, read: tuple[int, ...], options: dict[str, Any]) -> int:
        self.steps.append(Step(op, self._made, read, options))
        self._made += 1
        return self._made - 1

    def _option(self, key: str, value: object) -> object:
        if not isinstance(value, Param):
            return value
        if value.recipe is None:
            return None
        section = self._section(value.recipe)
        return section if key == "b" else Place(section, value.shape)

    def _section(self, recipe: Recipe) -> int:
        weight = recipe.kind in ("weight", "turned")
        if weight and recipe.sources[0] is not None:
            kept = self._precision.get(recipe.sources[0].name, "float32")
            recipe = Recipe(recipe.kind, recipe.sources, recipe.size, recipe.eps, kept)
        # Tied weights, and layers that are called twice, are packed once.
        tensors = tuple(None if s is None else id(s.tensor(self._module)) for s in recipe.sources)
        key = (recipe.kind, tensors, recipe.size, recipe.eps, recipe.precision)
        self.sections.setdefault(key, recipe)
        return list(self.sections).index(key)

"""What accelerating a model found out, gathered while it goes."""

from __future__ import annotations

from dataclasses import dataclass, field

from rarefy.acceleration._rows import ChainRow, LayerRow


@dataclass(slots=True)
class Findings:
    """Rows for the record."""

    layers: dict[str, LayerRow] = field(default_factory=dict)
    """By the weight's name in the model."""
    chains: list[ChainRow] = field(default_factory=list)
    captured: list[str] = field(default_factory=list)
    """Names of the modules whose code was captured; empty text is the model itself."""
    uncaptured: list[dict[str, str]] = field(default_factory=list)
    """Modules that run their own code though sparse weights are in them: name, class and why."""
    leaves: list[str] = field(default_factory=list)
    """Names of the single layers that run sparse by themselves when they are called."""
    notes: list[str] = field(default_factory=list)

    def leave(self, path: str, kind: type, why: str) -> None:
        """Note a module that was not captured."""
        self.uncaptured.append({"module": path, "class": kind.__name__, "why": why})

    def sparse(self) -> bool:
        """Whether anything runs sparse."""
        return any(row.kept for row in self.layers.values())

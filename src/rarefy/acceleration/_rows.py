"""What was found about each layer and each chain, as plain rows for the record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

DENSE = 0.7
"""From this density on there is nothing to skip, and a layer is not timed as a sparse one."""


@dataclass(slots=True)
class LayerRow:
    """One weight."""

    name: str
    """In the model."""
    op: str
    """``linear`` or ``conv``; something else for a weight that no chain can take."""
    shape: tuple[int, ...]
    density: float
    input: tuple[int, ...] = ()
    """Shape of the layer's input for the example."""
    stride: tuple[int, ...] | None = None
    pad: tuple[int, ...] | None = None
    dense: float | None = None
    """Seconds a call in torch, alone; None where it was not timed."""
    sparse: float | None = None
    """Seconds a call with the kernel, alone."""
    precision: str = "float32"
    """How its values are kept where it runs sparse."""
    kept: bool = False
    """Whether a chain of ours runs it."""
    why: str = ""
    chain: int | None = None
    """The chain that it runs in; None where it runs alone or dense."""
    bytes_dense: int = 0
    bytes_packed: int | None = None

    @property
    def runs_sparse(self) -> bool:
        """Whether zeros of it are skipped."""
        return self.kept and self.density <= DENSE

    def plain(self) -> dict[str, Any]:
        """As data for JSON."""
        found = asdict(self)
        kernel = "dense, in its chain" if self.density > DENSE else f"sparse {self.precision}"
        found["kernel"] = kernel if self.kept else "dense"
        return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()}


@dataclass(slots=True)
class ChainRow:
    """One region that was timed as a whole."""

    unit: str
    """Name of the module whose code it is part of."""
    steps: list[str]
    layers: list[str]
    dense: float
    sparse: float
    kept: bool
    why: str
    number: int | None = None
    """Among the chains that are kept."""

    def plain(self) -> dict[str, Any]:
        """As data for JSON."""
        return asdict(self)

"""The fast lanes: what a module runs in place of its own code where a call allows it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rarefy.acceleration._accepts import Accepts
from rarefy.acceleration._arguments import Argument
from rarefy.acceleration._compiled import compiled
from rarefy.acceleration._packs import Packs
from rarefy.acceleration._script import Script
from rarefy.acceleration._settings import Bound, Settings, bound, same
from rarefy.acceleration._sources import density_of
from rarefy.acceleration._surroundings import ordinary, traced_by_jit
from rarefy.acceleration._translate import Chain
from rarefy.errors import TargetError
from rarefy.kernels import steps


class Lane(ABC):
    """Packed chains, and when they may run."""

    packs: Packs

    def open_to(self, module: nn.Module) -> bool:
        """Whether the module, and what is around this call, let the chains run."""
        packs = self.packs
        if module.training or packs.off:
            return False
        if torch.compiler.is_compiling():
            # Versions and addresses cannot be traced; what was seen before is known.
            return packs.stale is None and not torch.is_autocast_enabled("cpu")
        if not ordinary() or not packs.fresh(module):
            return False
        return not (torch.is_grad_enabled() and packs.asks_gradient())

    @abstractmethod
    def revive(self, module: nn.Module) -> None:
        """Make again what is not copied."""

    @abstractmethod
    def call(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """The output, or :data:`NO` where the module's own code must run."""


class _No:
    """Nothing else is this."""


NO = _No()
"""A lane's answer to a call that is not for it."""


class UnitLane(Lane):
    """Captured code of a whole module."""

    def __init__(
        self,
        script: Script,
        packs: Packs,
        accepts: Accepts,
        output: Any,  # noqa: ANN401 - a TreeSpec
        constants: Mapping[str, Tensor],
        settings: Settings,
        example: Mapping[str, Argument],
    ) -> None:
        self.script = script
        self.packs = packs
        self.accepts = accepts
        # A single tensor needs no spec, and torch warns of the pickle of one.
        self.output = None if output is None or output.is_leaf() else output
        self.constants = dict(constants)
        self.settings = settings
        self.example = dict(example)
        """The arguments that it was captured and timed with."""
        self._run: Callable[..., Any] | None = None
        self._settings: Bound = []

    def __getstate__(self) -> dict[str, Any]:
        # A structure with its leaves numbered stands for the TreeSpec, of whose pickle torch warns.
        return {**self.__dict__, "_run": None, "_settings": [], "output": self._skeleton()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.output is not None:
            self.output = torch.utils._pytree.tree_structure(self.output)

    def _skeleton(self) -> Any:  # noqa: ANN401 - whatever the model gives
        if self.output is None:
            return None
        leaves = list(range(self.output.num_leaves))
        return torch.utils._pytree.tree_unflatten(leaves, self.output)

    def revive(self, module: nn.Module) -> None:
        """Compile the code and pack the weights."""
        self.ready(module)
        self.packs.build(module)

    def ready(self, module: nn.Module) -> None:
        """Compile the code; the weights are packed already."""
        vars(module)["_rarefy_constants"] = self.constants
        self._settings = bound(module, self.settings) or []
        self._run = compiled(self.script, module, self.packs.run)

    def call(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """The output, or :data:`NO` where the module's own code must run."""
        if self._run is None or not self.open_to(module):
            return NO
        if not torch.compiler.is_compiling() and not same(self._settings):
            return NO
        values = _untraced(self.accepts.values, args, kwargs)
        if values is None:
            return NO
        flat = self._run(module, *values)
        if self.output is None:
            return flat[0]
        return torch.utils._pytree.tree_unflatten(flat, self.output)


def _untraced(
    accept: Callable[..., list[Any] | None], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[Any] | None:
    """Ask without torch.jit.trace looking on, which would take each size for a tensor."""
    if torch.compiler.is_compiling() or not traced_by_jit():
        return accept(args, kwargs)
    state = torch._C._get_tracing_state()
    torch._C._set_tracing_state(None)  # type: ignore[attr-defined]
    try:
        return accept(args, kwargs)
    finally:
        torch._C._set_tracing_state(state)  # type: ignore[attr-defined]


class LeafLane(Lane):
    """One Linear or convolution, packed at once or when it is first called."""

    def __init__(self, chain: Chain, where: str, *, at_once: bool, density: float = 1.0) -> None:
        self.chain = chain
        """For an input of two sides, tokens x features; of an image: four."""
        self.density = density
        """Of the weight when sparse won; a much denser one that came later runs dense."""
        self.at_once = at_once
        """False for a layer that a unit runs already: a call past the unit packs it then."""
        self.packs = Packs([chain], where)
        first, layer, *_ = steps(chain.program)
        self._rank = first.options["rank"]
        self._features = layer.options["w"].shape[1]

    def __getstate__(self) -> dict[str, Any]:
        kept = {"chain": self.chain, "where": self.packs.where}
        return {**kept, "at_once": self.at_once, "density": self.density}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # an object of our own

    def revive(self, module: nn.Module) -> None:
        """Pack the weight, if that was asked for."""
        if self.at_once:
            self.packs.build(module)

    def _build(self, module: nn.Module) -> None:
        source = self.chain.recipes[0].sources[0]
        if source is not None and density_of(source.tensor(module)) > 1.5 * self.density:
            raise TargetError(f"{self.packs.where}.weight has lost many of its zeros")
        self.packs.build(module)

    def call(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """The output, or :data:`NO` where the module's own code must run."""
        x = args[0] if len(args) == 1 and not kwargs else kwargs.get("input")
        if not isinstance(x, Tensor) or len(args) + len(kwargs) != 1 or not self._fits(x):
            return NO
        if not self.packs.plans and not self._pack(module):
            return NO
        if not self.open_to(module):
            return NO
        if self._rank == 4 or x.dim() == 2:
            return self.packs.run(module, 0, [x])[0]
        (flat,) = self.packs.run(module, 0, [x.reshape(-1, self._features)])
        return flat.view(*x.shape[:-1], flat.shape[1])

    def _fits(self, x: Tensor) -> bool:
        if x.dtype is not torch.float32 or x.layout is not torch.strided or not x.is_cpu:
            return False
        if x.requires_grad and torch.is_grad_enabled():
            return False
        if self._rank == 4:
            return x.dim() == 4 and x.shape[1] == self._features
        return x.dim() >= 1 and x.shape[-1] == self._features

    def _pack(self, module: nn.Module) -> bool:
        if torch.compiler.is_compiling() or module.training or self.packs.off:
            return False
        with self.packs.lock:
            if not self.packs.plans and self.packs.stale is None:
                try:
                    self._build(module)
                except TargetError as error:  # another dtype or device by now, or no more zeros
                    self.packs.stale = str(error)
        return bool(self.packs.plans)

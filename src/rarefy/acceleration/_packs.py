"""The packed bytes of a module's chains: made, run, and compared with the weights they are of."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rarefy.acceleration._lean import LeanWeight
from rarefy.acceleration._sources import Source
from rarefy.acceleration._surroundings import traced_by_jit
from rarefy.acceleration._translate import Chain
from rarefy.errors import TargetError
from rarefy.kernels import Plan, join, read

BUFFER = "_rarefy_packed_"
"""Packed bytes are buffers of this name, so that tools see their memory; never in a state dict."""

_Stamp = tuple[int, ...]
_Seen = tuple[dict[str, Tensor | None], str, Tensor, _Stamp]


class Packs:
    """The chains of one module, ready to run.

    What can be made again from the weights is not copied or pickled: a copy packs its own.
    """

    def __init__(self, chains: Sequence[Chain], where: str) -> None:
        self.chains = tuple(chains)
        self.where = where
        """The module's name in the model, for messages."""
        self.off = False
        """Whether the module runs as it did before, as while the dense model is timed."""
        self._forget()

    def _forget(self) -> None:
        self.plans: list[Plan] = []
        self.stale: str | None = None
        """Why the packed weights are not those of the model."""
        self._seen: list[_Seen] = []
        self._edges: list[tuple[dict[str, nn.Module | None], str, nn.Module]] = []
        self._stale_at: tuple[_Stamp, ...] = ()
        self._told = False
        self.lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {"chains": self.chains, "where": self.where}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # an object of our own

    def build(self, module: nn.Module) -> None:
        """Pack what the weights hold now.

        Raises:
            TargetError: A weight is gone, or is no float32 on the CPU any more.
        """
        self.adopt(module, [self._packed(module, chain) for chain in self.chains])

    def adopt(self, module: nn.Module, packed: Sequence[Tensor], plans: Any = None) -> None:  # noqa: ANN401
        """Take these bytes as packed from what the weights hold now."""
        for number, data in enumerate(packed):
            module.register_buffer(f"{BUFFER}{number}", data, persistent=False)
        self.plans = list(plans) if plans else self._planned(packed)
        self._share_bytes(module, packed)
        self.look(module)
        self.stale = None

    def _share_bytes(self, module: nn.Module, packed: Sequence[Tensor]) -> None:
        """Weights that are packed bytes themselves take those of the chain for theirs."""
        for chain, data in zip(self.chains, packed, strict=True):
            weights = [
                None if recipe.sources[0] is None else recipe.sources[0].tensor(module)
                for recipe in chain.recipes
            ]
            if any(isinstance(weight, LeanWeight) for weight in weights):
                for weight, section in zip(weights, read(data), strict=True):
                    if isinstance(weight, LeanWeight) and section.kind == "tiles":
                        weight.move_to(section.data)

    def remove(self, module: nn.Module) -> None:
        """Take the bytes out of the module."""
        for number in range(len(self.chains)):
            module._buffers.pop(f"{BUFFER}{number}", None)
            module._non_persistent_buffers_set.discard(f"{BUFFER}{number}")
        self._forget()

    def _planned(self, packed: Sequence[Tensor]) -> list[Plan]:
        return [Plan(d, c.program) for d, c in zip(packed, self.chains, strict=True)]

    @staticmethod
    def _packed(module: nn.Module, chain: Chain) -> Tensor:
        return join([recipe.section(module) for recipe in chain.recipes])

    def packed(self, module: nn.Module, number: int) -> Tensor:
        """The bytes of a chain."""
        found = module._buffers[f"{BUFFER}{number}"]
        if found is None:
            raise TargetError(f"{self.where}: its packed weights are gone. Accelerate it again.")
        return found

    def run(self, module: nn.Module, number: int, inputs: list[Tensor]) -> list[Tensor]:
        """What a chain gives. While something traces, it sees one operation."""
        if torch.compiler.is_compiling() or traced_by_jit():
            program = self.chains[number].program
            packed = self.packed(module, number)
            return list(torch.ops.rarefy.chain.default(inputs, packed, program))
        return self.plans[number].run(*inputs)

    def look(self, module: nn.Module) -> None:
        """Remember the weights as they are: object, version and address of each."""
        sources: dict[Source, None] = {}
        for chain in self.chains:
            for recipe in chain.recipes:
                sources.update(dict.fromkeys(s for s in recipe.sources if s is not None))
        seen = []
        for source in sources:
            tensor = source.tensor(module)
            holder = source.holder(module)
            seen.append((holder, source.key, tensor, _stamp(tensor)))
        self._names = [source.name for source in sources]
        self._edges = _edges(module, sources)
        self._seen = seen
        self._stale_at = ()

    def fresh(self, module: nn.Module) -> bool:
        """Whether the packed bytes are those of the weights. What changed is told once.

        Seen are a layer that was replaced, a weight that another object took the place of, that was
        written to, or that moved. One that was written to through ``.data`` is not: torch keeps no
        note of that.
        """
        for children, name, child in self._edges:
            if children.get(name) is not child:
                self._tell([name])
                return False
        for holder, key, tensor, stamp in self._seen:
            now = holder.get(key)
            if now is not tensor or _stamp(now) != stamp:
                return self._look_again(module)
        return not self.stale

    def asks_gradient(self) -> bool:
        """Whether a weight wants a gradient, which packed bytes cannot have."""
        return any(tensor.requires_grad for _, _, tensor, _ in self._seen)

    def _look_again(self, module: nn.Module) -> bool:
        with self.lock:
            now = [holder.get(key) for holder, key, *_ in self._seen]
            changed = [
                name
                for name, there, (_, _, tensor, stamp) in zip(
                    self._names, now, self._seen, strict=True
                )
                if there is not tensor or _stamp(there) != stamp
            ]
            state = tuple(() if t is None else _stamp(t) for t in now)
            replaced = any(t is not s[2] for t, s in zip(now, self._seen, strict=True))
            if not replaced and state != self._stale_at and self._same(module):
                self.look(module)  # moved to shared memory, or written with equal values
                self.stale = None
                return True
            self._stale_at = state
            if not replaced:
                self.stale = f"{changed[0]} changed"
            self._tell(changed)
            return False

    def _same(self, module: nn.Module) -> bool:
        try:
            return all(
                torch.equal(self._packed(module, chain), self.packed(module, number))
                for number, chain in enumerate(self.chains)
            )
        except TargetError:
            return False

    def _tell(self, changed: list[str]) -> None:
        if self._told:
            return
        self._told = True
        names = [f"{self.where}.{name}" if self.where else name for name in changed]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        warnings.warn(
            f"{names[0]}{more} changed after rarefy.accelerate (new values, dtype or device). The "
            "model stays right: its own code runs on its own weights, and slower. Call "
            "rarefy.accelerate again on the model as it is.",
            stacklevel=2,
        )

    def repack(self, module: nn.Module) -> None:
        """Take over what the weights hold now, as after ``load_state_dict``.

        Bytes of the same length stay where they are, so that compiled code sees the new ones.
        """
        with self.lock:
            try:
                fresh = [self._packed(module, chain) for chain in self.chains]
            except TargetError as error:
                self.stale = str(error)
                return
            for number, data in enumerate(fresh):
                old = self.packed(module, number)
                if old.shape == data.shape:
                    with torch.no_grad():
                        fresh[number] = old.copy_(data)
            self.adopt(module, fresh)
            self._told = False


def _stamp(tensor: Tensor) -> _Stamp:
    """How often it was written to, which tensors of inference mode do not tell, and its place."""
    if isinstance(tensor, LeanWeight):
        return tensor.stamp
    return -1 if tensor.is_inference() else tensor._version, tensor.data_ptr()


def _edges(
    module: nn.Module, sources: Iterable[Source]
) -> list[tuple[dict[str, nn.Module | None], str, nn.Module]]:
    """The ways from the module down to these parameters, each step once."""
    found: dict[tuple[int, str], tuple[dict[str, nn.Module | None], str, nn.Module]] = {}
    for source in sources:
        inner = module
        for name in source.path:
            child = inner._modules[name]
            if child is None:
                raise TargetError(f"{source.name} is gone. Call rarefy.accelerate again.")
            found[id(inner), name] = (inner._modules, name, child)
            inner = child
    return list(found.values())

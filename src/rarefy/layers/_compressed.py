"""What all compressed layers have: values alone, their topology, and what a Sparsifier drives."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from rarefy.errors import StateError
from rarefy.kernels import Geometry, Held, Topology, slots
from rarefy.layers._loading import check_loaded


@dataclass(frozen=True, slots=True)
class Change:
    """Another set of living places for a compressed weight, prepared and not made yet."""

    topology: Topology
    """The new one, of the same capacity."""
    order: Tensor
    """int64, one a living slot: which of the places given stands there."""
    before: Topology
    """The present one."""

    @property
    def source(self) -> Tensor:
        """int64, one a slot: its slot before, -1 for arrivals and padding; found anew each time."""
        return self.topology.source(self.before)

    @property
    def topology_buffer(self) -> Tensor:
        """The new integer buffer, as long as the present one."""
        return self.topology.buffer


class Compressed(nn.Module, ABC):
    """A layer whose weight exists only where it lives.

    Attributes:
        weight_values: A leaf parameter, (capacity,): one value a slot, 0 in padding.
        weight_topology: int32 buffer, where the slots stand; see :class:`rarefy.kernels.Topology`.
        bias: As in the dense layer.
    """

    weight_values: nn.Parameter
    weight_topology: Tensor
    bias: nn.Parameter | None

    def _assemble(
        self,
        topology: Topology,
        values: nn.Parameter,
        bias: nn.Parameter | None,
    ) -> None:
        """Take over what the layer is made of."""
        self.weight_values = values
        self.register_buffer("weight_topology", topology.buffer)
        self.register_parameter("bias", bias)
        self._matrix = (topology.rows, topology.columns)
        self._held = Held(self._geometry())
        self._held.believe(self.weight_topology)

    def _geometry(self) -> Geometry | None:
        """How a convolution reads its image."""
        return None

    @abstractmethod
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the dense weight."""

    @property
    def topology(self) -> Topology:
        """The checked topology that the buffer holds now.

        Raises:
            StateError: What was written into the buffer is none.
        """
        return self._held.products(self.weight_topology).topology

    def count(self) -> int:
        """Living places; the slots beyond are padding."""
        return self.topology.count

    def places(self) -> Tensor:
        """int64, (count,): the flat index into the dense weight of each slot, in slot order."""
        return self.topology.places()

    def mask(self) -> Tensor:
        """Bool, shaped like the dense weight: True where a weight lives."""
        return self.topology.mask().view(self.weight_shape())

    def dense_weight(self) -> Tensor:
        """The dense weight, detached, made anew: for files."""
        return self.topology.scatter(self.weight_values.detach()).view(self.weight_shape())

    def exchanged(self, places: Tensor) -> Change:
        """What changes where these places live from now on; nothing is changed yet.

        Args:
            places: Flat indices into the dense weight, in any order, none twice.

        Raises:
            BudgetError: They are more than the layer has slots.
            PatternError: A place is none, or is there twice.
        """
        now = self.topology
        blocks = (now.block_rows, now.block_columns)
        new, order = Topology.arranged(now.rows, now.columns, places.long(), now.capacity, blocks)
        # A copy: the present buffer is written over when the change is adopted.
        return Change(new, order, Topology(now.buffer.clone()))

    @torch.no_grad()
    def adopt(self, change: Change) -> None:
        """Let the new places live. Values and what belongs to them are the caller's to move.

        Raises:
            StateError: The change was prepared for another layer.
        """
        new, now = change.topology, self.topology
        if (new.rows, new.columns, new.capacity) != (now.rows, now.columns, now.capacity):
            raise StateError(
                f"a change for {new.capacity} slots of a {new.rows} x {new.columns} matrix cannot "
                f"be adopted by a layer that has {now.capacity} of {now.rows} x {now.columns}: "
                "take it from this layer's exchanged()."
            )
        self.weight_topology.copy_(new.buffer)
        self._held.believe(self.weight_topology)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """While it is entered, backward passes leave what :meth:`gradient_rows` needs.

        They keep the layer's inputs and output gradients, until it is left or
        :meth:`forget_recorded` is called.
        """
        records = self._held.records
        records.forget()
        records.on = True
        try:
            yield
        finally:
            records.on = False
            records.forget()

    def recorded_passes(self) -> int:
        """Backward passes recorded so far."""
        return len(self._held.records)

    def forget_recorded(self, passes: int | None = None) -> None:
        """Let go of the first ``passes`` backward passes recorded so far, or of all."""
        self._held.records.forget(passes)

    def gradient_rows(self, first: int, last: int) -> Tensor:
        """Rows ``first`` up to ``last`` of the dense gradient as a matrix, of all recorded passes.

        Raises:
            EvidenceError: No pass was recorded.
        """
        products = self._held.products(self.weight_topology)
        return self._held.records.gradient_rows(products, first, last)

    def _product(self, x: Tensor) -> Tensor:
        device = x.device.type
        values, bias = self.weight_values, self.bias
        known = device != "meta" and torch.is_autocast_enabled(device)
        if not known or torch.float64 in (x.dtype, values.dtype):
            return slots(x, values, self.weight_topology, bias, self._matrix[0], self._held)
        # As autocast does with dense layers, but the product itself stays float32.
        narrow = torch.get_autocast_dtype(device)
        with torch.autocast(device, enabled=False):
            wide = None if bias is None else bias.float()
            y = slots(
                x.float(), values.float(), self.weight_topology, wide, self._matrix[0], self._held
            )
            return y.to(narrow)

    def extra_repr(self) -> str:
        """The dense layer's words, and how sparse it is."""
        with suppress(StateError, RuntimeError):  # on the meta device nobody knows
            size = self.topology.rows * self.topology.columns
            return f"{self._words()}, sparsity={1 - self.count() / size:.4g}"
        return self._words()

    @abstractmethod
    def _words(self) -> str:
        """The dense layer's own words about itself."""

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        *others: Any,  # noqa: ANN401
    ) -> None:
        given = check_loaded(state_dict, prefix, self._matrix, self.weight_values.numel())
        if given is not None and given.shape != self.weight_topology.shape:
            # The same slots in blocks of other sizes.
            self.weight_topology = torch.zeros_like(given, device=self.weight_topology.device)
        super()._load_from_state_dict(state_dict, prefix, *others)
        self._settle()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._settle()
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._settle()

    def _settle(self) -> None:
        """Look at the buffer now: operators of compiled models find what is held by its address."""
        if self.weight_topology.is_meta or type(self.weight_topology) is not Tensor:
            return
        with suppress(StateError):  # to_empty() leaves what happens to be there, until it is loaded
            self._held.products(self.weight_topology)

"""What a compressed layer holds beside its tensors: derived products, and records for growth."""

import weakref
from typing import Any

from torch import Tensor

from rarefy.errors import EvidenceError
from rarefy.kernels._geometry import Geometry
from rarefy.kernels._remembered import Remembered
from rarefy.kernels._slots import Products
from rarefy.kernels._topology import Topology


class Records:
    """What backward passes leave for a growth rule that asks for the dense gradient."""

    def __init__(self) -> None:
        self.on = False
        """Whether backward passes leave anything."""
        self._pairs: list[tuple[Tensor, Tensor]] = []

    def add(self, products: Products, x: Tensor, dy: Tensor) -> None:
        """A backward pass happened: its input, and the gradient of its output."""
        if self.on:
            pair = products.batch(x.detach()), products.batch_of_outputs(dy.detach())
            self._pairs.append(pair)

    def __len__(self) -> int:
        return len(self._pairs)

    def forget(self, passes: int | None = None) -> None:
        """Let go of the first ``passes``, or of all."""
        del self._pairs[:passes]

    def gradient_rows(self, products: Products, first: int, last: int) -> Tensor:
        """Rows of the dense weight's gradient, summed over the passes.

        Raises:
            EvidenceError: There was no pass.
        """
        if not self._pairs:
            raise EvidenceError(
                "no backward pass was recorded, so the dense gradient is not known. Run the "
                "backward passes inside recorded(), with weight_values.requires_grad, and ask "
                "before it is left."
            )
        (x, dy), *others = self._pairs
        rows = products.plain.gradient_rows(x, dy, first, last)
        for x, dy in others:
            rows += products.plain.gradient_rows(x, dy, first, last)
        return rows


class _State:
    """The products of one buffer, and how to tell that they still are."""

    __slots__ = ("_given", "_own", "_version", "_viewed_version", "address", "products")

    def __init__(self, buffer: Tensor, products: Products) -> None:
        self.products = products
        self._given = weakref.ref(buffer)
        self._own = buffer.detach()  # as long as it lives nothing else moves in at its address
        self.address = buffer.data_ptr()
        self._version = _version(buffer)
        self._viewed_version = _version(products.topology.buffer)

    def is_of(self, buffer: Tensor) -> bool:
        """Whether the products are of these bytes, and nobody wrote to them since."""
        return (
            buffer.data_ptr() == self.address
            and buffer.numel() == self._own.numel()
            and _version(buffer) == self._version
            # After a deep copy the products view another's buffer.
            and _version(self.products.topology.buffer) == self._viewed_version
        )

    def of_copy(self, memo: dict[int, Any]) -> "_State | None":
        """The state of a deep copy, where its buffer was copied before; products are shared."""
        given = self._given()
        copied = memo.get(id(given))
        if given is None or copied is None or not self.is_of(given):
            return None
        return _State(copied, self.products)


class Held:
    """The products of one layer's topology buffer, for as long as the buffer stays as it is.

    A deep copy shares them until either buffer is written to; a pickle leaves them behind.
    """

    def __init__(self, geometry: Geometry | None = None) -> None:
        self.geometry = geometry
        self.text = "" if geometry is None else geometry.text()
        """The geometry as operators carry it; nothing for a Linear layer."""
        self.records = Records()
        self._state: _State | None = None

    def products(self, buffer: Tensor) -> Products:
        """The products of this buffer, made anew where it is another or was written to.

        Raises:
            StateError: What was written is no topology.
        """
        state = self._state
        if state is not None and state.is_of(buffer):
            return state.products
        return self._take(buffer, Topology.read(buffer.detach()))

    def believe(self, buffer: Tensor) -> None:
        """Take a buffer over without a check: it was written by this library just now."""
        self._take(buffer, Topology(buffer.detach()))

    def is_at(self, buffer: Tensor) -> bool:
        """Whether the buffer lies where the one lies that products were made for."""
        return self._state is not None and self._state.address == buffer.data_ptr()

    def _take(self, buffer: Tensor, topology: Topology) -> Products:
        products = Products(topology, self.geometry)
        self._state = _State(buffer, products)
        _by_address[buffer.data_ptr()] = self
        return products

    def __deepcopy__(self, memo: dict[int, Any]) -> "Held":
        copied = Held(self.geometry)
        # A module copies its buffers before it comes to this.
        state = self._state.of_copy(memo) if self._state is not None else None
        if state is not None:
            copied._state = state
            _by_address[state.address] = copied
        return copied

    def __reduce__(self) -> tuple[type["Held"], tuple[Geometry | None]]:
        return Held, (self.geometry,)


_by_address: "weakref.WeakValueDictionary[int, Held]" = weakref.WeakValueDictionary()
"""Of each buffer that a layer holds."""


def products_of(buffer: Tensor, geometry: str) -> tuple[Products, Records]:
    """What is held of a buffer, for an operator that is given the buffer alone."""
    found = _by_address.get(buffer.data_ptr())
    if found is not None and found.is_at(buffer) and found.text == geometry:
        return found.products(buffer), found.records
    return _of_nobody.get(buffer, geometry), Records()


def _made(buffer: Tensor, geometry: str) -> Products:
    # A view would keep what it is remembered by.
    known = Geometry.of_text(geometry) if geometry else None
    return Products(Topology.read(buffer.clone()), known)


def _version(buffer: Tensor) -> int:
    return -1 if buffer.is_inference() else buffer._version


_of_nobody = Remembered(_made)
"""Of buffers without a layer, such as those of an exported program."""

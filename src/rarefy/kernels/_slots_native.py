"""The products of a compressed weight by the compiled library."""

import ctypes
import functools
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rarefy import _native
from rarefy.errors import InvariantError
from rarefy.kernels._geometry import Geometry
from rarefy.kernels._slots_plain import PlainProducts
from rarefy.kernels._threads import settle_threads
from rarefy.kernels._topology import Topology

_Pointer = ctypes.c_void_p
_NEW = ctypes.CFUNCTYPE(
    _Pointer, _Pointer, ctypes.c_int64, _Pointer, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64
)
_FORWARD = ctypes.CFUNCTYPE(ctypes.c_int, *[_Pointer] * 6, ctypes.c_int)
_GRADIENT = ctypes.CFUNCTYPE(ctypes.c_int, *[_Pointer] * 5, ctypes.c_int)
_BYTES = ctypes.CFUNCTYPE(ctypes.c_int64, _Pointer)
_FREE = ctypes.CFUNCTYPE(None, _Pointer)
_MOST_MESSAGE = 256


class NativeProducts:
    """One topology's products on contiguous float32 tensors of the CPU.

    Inputs ``x`` are (tokens, columns), or (N, channels, height, width) with a geometry; outputs are
    (tokens, rows) or (N, rows, height, width). Any number of threads may call it at once.
    """

    def __init__(self, topology: Topology, geometry: Geometry | None, handle: int) -> None:
        self._topology = topology
        self._geometry = geometry
        self._handle = _Pointer(handle)
        # At the end of the process all memory goes at once, and a thread may still be calling.
        weakref.finalize(self, _function("rarefy_slots_free", _FREE), handle).atexit = False

    def forward(self, x: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """The layer's output."""
        y = x.new_empty(self._outputs(x.shape))
        addresses = (x.data_ptr(), values.data_ptr(), None if bias is None else bias.data_ptr())
        _run("rarefy_slots_forward", _FORWARD, self._handle, *addresses, y.data_ptr(), x.shape)
        return y

    def input_gradient(self, dy: Tensor, values: Tensor, x_shape: torch.Size) -> Tensor:
        """The gradient of an input of this shape."""
        dx = dy.new_empty(x_shape)
        addresses = (dy.data_ptr(), values.data_ptr(), dx.data_ptr())
        _run("rarefy_slots_input_gradient", _GRADIENT, self._handle, *addresses, x_shape)
        return dx

    def weight_gradient(self, x: Tensor, dy: Tensor) -> Tensor:
        """The gradient of the values, 0 in padding."""
        found = x.new_empty(self._topology.capacity)
        addresses = (x.data_ptr(), dy.data_ptr(), found.data_ptr())
        _run("rarefy_slots_weight_gradient", _GRADIENT, self._handle, *addresses, x.shape)
        return found

    def nbytes(self) -> int:
        """Bytes that the library holds for it now, code included."""
        held: int = _function("rarefy_slots_bytes", _BYTES)(self._handle)
        return held

    def _outputs(self, inputs: torch.Size) -> tuple[int, ...]:
        if self._geometry is None:
            return inputs[0], self._topology.rows
        return inputs[0], self._topology.rows, *self._geometry.image((inputs[2], inputs[3]))


def native_products(topology: Topology, geometry: Geometry | None) -> NativeProducts | None:
    """The products by the library; None where the reference runs."""
    if _native.function("rarefy_slots_new", _NEW) is None or not _agrees():
        return None
    return _made(topology, geometry)


def _made(topology: Topology, geometry: Geometry | None) -> NativeProducts | None:
    settle_threads()
    words = topology.buffer.contiguous()
    numbers = None
    if geometry is not None:
        pairs = (geometry.kernel, geometry.stride, geometry.padding, geometry.dilation)
        numbers = (ctypes.c_int64 * 8)(*[side for pair in pairs for side in pair])
    message = ctypes.create_string_buffer(_MOST_MESSAGE)
    handle = _function("rarefy_slots_new", _NEW)(
        words.data_ptr(),
        words.numel(),
        numbers,
        _native.kernel_set().encode(),
        message,
        _MOST_MESSAGE,
    )
    # What the library does not take (blocks of another size, say) runs on the reference.
    return NativeProducts(topology, geometry, handle) if handle else None


@functools.cache
def _agrees() -> bool:
    """Whether the library gives what the reference gives, on a tiny case of each kind."""
    generator = torch.Generator().manual_seed(0)
    for geometry, shape in ((None, (17, 36)), (Geometry((3, 3), padding=(1, 1)), (2, 4, 5, 6))):
        mask = torch.rand(33, 36, generator=generator) < 0.3
        topology = Topology.of_mask(mask)
        own, plain = _made(topology, geometry), PlainProducts(topology, geometry)
        if own is None:
            return _differs()
        x = torch.randn(shape, generator=generator)
        values = torch.randn(topology.capacity, generator=generator)
        bias = torch.randn(33, generator=generator)
        y = plain.forward(x, values, bias)
        pairs = [
            (own.forward(x, values, bias), y),
            (own.input_gradient(y, values, x.shape), plain.input_gradient(y, values, x.shape)),
            (own.weight_gradient(x, y), plain.weight_gradient(x, y)),
        ]
        if not all(torch.allclose(one, other, 1e-4, 1e-3) for one, other in pairs):
            return _differs()
    return True


def _differs() -> bool:
    _native.switch_off("training on slots")
    return False


def _run(name: str, prototype: Any, *arguments: Any) -> None:  # noqa: ANN401 - ctypes
    *addresses, shape = arguments
    sizes = (shape[0],) if len(shape) == 2 else (shape[0], shape[2], shape[3])
    numbers = (ctypes.c_int64 * len(sizes))(*sizes)
    code = _function(name, prototype)(*addresses, numbers, torch.get_num_threads())
    if code:
        why = _function("rarefy_plan_problem", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_int))
        raise InvariantError(
            f"the compiled library could not run {name}: {why(code).decode()}. "
            "RAREFY_KERNELS=reference runs it in plain torch."
        )


def _function(name: str, prototype: Any) -> Callable[..., Any]:  # noqa: ANN401 - a ctypes type
    found = _native.function(name, prototype)
    if found is None:
        raise InvariantError(f"the compiled library lacks {name}: install rarefy again.")
    return found

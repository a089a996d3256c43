"""Scores as integers of the same order, and the two passes over them that find the largest.

Each pass is a compiled kernel for contiguous float32 and float64 on the CPU, and a few lines of
torch, its reference twin, for everything else.
"""

import ctypes
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from rarefy import _native
from rarefy.errors import ScoreError

DIGIT = 16
BUCKETS = 1 << DIGIT

_KEY = {torch.float32: torch.int32, torch.float64: torch.int64}
_NAME = {torch.float32: "f32", torch.float64: "f64"}
_INFINITY = {torch.float32: 0x7F800000, torch.float64: 0x7FF0000000000000}
_SMALL = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16)
_EXACT_IN_FLOAT64 = 1 << 53
_HISTOGRAM = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int32,
    ctypes.c_int64,
    ctypes.c_void_p,
)
_MARK = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_void_p,
)


class NeedsFloat64(Exception):  # noqa: N818 - never leaves the library
    """The values do not fit into float32."""


def bits_of(dtype: torch.dtype) -> int:
    """Bits of the keys of scores of this dtype."""
    return 64 if dtype in (torch.float64, torch.int64, torch.uint32) else 32


def comparable(chunk: Tensor, name: str) -> Tensor:
    """The same values in a dtype that has keys: float32, float64, int32 or int64.

    Raises:
        ScoreError: Values of this dtype have no order, or none that we know of.
    """
    if chunk.dtype in _KEY or chunk.dtype in (torch.int32, torch.int64):
        return chunk
    if chunk.dtype in _SMALL:
        return chunk.to(torch.int32)
    if chunk.dtype is torch.uint32:
        return chunk.to(torch.int64)
    if chunk.is_floating_point():
        return chunk.to(torch.float32)
    raise ScoreError(
        f"'{name}' cannot be ranked: its scores are {chunk.dtype}. Give real numbers in a float "
        "type, or integers that fit into int64."
    )


def as_float32(chunk: Tensor, name: str) -> Tensor:
    """The same values as float32.

    Raises:
        NeedsFloat64: Not every value of this dtype is one of float32.
    """
    if chunk.dtype not in _SMALL and comparable(chunk[:0], name).dtype is not torch.float32:
        raise NeedsFloat64
    return chunk.to(torch.float32)


def as_float64(chunk: Tensor, name: str) -> Tensor:
    """The same values as float64, in which tensors of different dtypes compare.

    Raises:
        ScoreError: An integer is beyond 2**53.
    """
    if chunk.device.type == "mps":  # which has no float64
        chunk = chunk.cpu()
    chunk = comparable(chunk, name)
    if chunk.dtype is torch.int64 and chunk.numel():
        low, high = chunk.aminmax()
        if low < -_EXACT_IN_FLOAT64 or high > _EXACT_IN_FLOAT64:
            raise ScoreError(
                f"'{name}' cannot be ranked among other tensors: it holds integers beyond 2**53, "
                "which float64 cannot tell apart. Scale the scores down."
            )
    return chunk.to(torch.float64)


def keys(chunk: Tensor) -> Tensor:
    """Integers in the order of the values; ``-0.0`` has the key of ``0.0``.

    They are made from the bits, so that flushing of denormals cannot change an order.
    """
    if not chunk.is_floating_point():
        return chunk
    kind = _KEY[chunk.dtype]
    bits = chunk.view(kind)
    found = bits ^ ((bits >> (torch.iinfo(kind).bits - 1)) & torch.iinfo(kind).max)
    return found.masked_fill_(found == -1, 0)  # -1 is the key that only -0.0 would have


def histogram(chunk: Tensor, shift: int, prefix: int, counts: Tensor) -> int:
    """Add to ``counts`` the digit at ``shift`` of every key that begins with ``prefix``.

    At the topmost digit every key counts, and the digit is offset, since the sign is in it.

    Args:
        chunk: Values in a dtype that has keys, one axis.
        shift: Bits below the digit.
        prefix: The bits above the digit, as a signed number.
        counts: int64, :data:`BUCKETS` long, on the CPU.

    Returns:
        How many values are NaN; counted at the topmost digit only.
    """
    kernel = _kernel("topk_histogram", _HISTOGRAM, _histogram_agrees, chunk)
    if kernel is None:
        return _histogram_reference(chunk, shift, prefix, counts)
    return kernel(chunk.data_ptr(), chunk.numel(), shift, prefix, counts.data_ptr())


def mark(chunk: Tensor, threshold: int, ties: int, kept: Tensor) -> int:
    """Write to ``kept`` which keys are above the threshold, or equal it while ``ties`` last.

    Args:
        chunk: Values in a dtype that has keys, one axis.
        threshold: A key.
        ties: How many equal ones may be kept, the first ones.
        kept: bool, shaped like ``chunk`` and contiguous.

    Returns:
        How many equal ones were kept.
    """
    kernel = _kernel("topk_mark", _MARK, _mark_agrees, chunk)
    if kernel is None:
        return _mark_reference(chunk, threshold, ties, kept)
    return kernel(chunk.data_ptr(), chunk.numel(), threshold, ties, kept.data_ptr())


def _kernel(
    operation: str,
    prototype: Callable[[int], Callable[..., int]],
    agrees: Callable[[torch.dtype, Callable[..., int]], bool],
    chunk: Tensor,
) -> Callable[..., int] | None:
    plain = type(chunk) is Tensor and chunk.device.type == "cpu" and chunk.is_contiguous()
    if not plain or chunk.dtype not in _NAME:
        return None
    name = f"{operation}_{_NAME[chunk.dtype]}"
    return _native.kernel(name, prototype, partial(agrees, chunk.dtype))


def _histogram_reference(chunk: Tensor, shift: int, prefix: int, counts: Tensor) -> int:
    key = keys(chunk)
    first = shift == torch.iinfo(key.dtype).bits - DIGIT
    if first:
        digits = (key >> shift) + BUCKETS // 2
    else:
        digits = (key[key >> (shift + DIGIT) == prefix] >> shift) & (BUCKETS - 1)
    counts += torch.bincount(digits, minlength=BUCKETS).cpu()
    if not first or chunk.dtype not in _INFINITY:
        return 0
    infinity = _INFINITY[chunk.dtype]
    return int(((key > infinity) | (key < ~infinity)).sum())


def _mark_reference(chunk: Tensor, threshold: int, ties: int, kept: Tensor) -> int:
    key = keys(chunk)
    torch.gt(key, threshold, out=kept)
    if not ties:
        return 0
    equal = (key == threshold).nonzero().squeeze(1)[:ties]
    kept[equal] = True
    return equal.numel()


def _tiny(dtype: torch.dtype) -> Tensor:
    inf, nan = float("inf"), float("nan")
    return torch.tensor([1.0, -0.0, 0.0, inf, -inf, nan, 3.5, -2.0, 3.5, 1e-40, -nan], dtype=dtype)


def _histogram_agrees(dtype: torch.dtype, kernel: Callable[..., int]) -> bool:
    values = _tiny(dtype)
    bits = bits_of(dtype)
    for shift in range(bits - DIGIT, -1, -DIGIT):
        prefix = int(keys(values[6:7])) >> min(shift + DIGIT, bits - 1)
        ours, wanted = torch.zeros(2, BUCKETS, dtype=torch.int64)
        nan = kernel(values.data_ptr(), values.numel(), shift, prefix, ours.data_ptr())
        if nan != _histogram_reference(values, shift, prefix, wanted):
            return False
        if not torch.equal(ours, wanted):
            return False
    return True


def _mark_agrees(dtype: torch.dtype, kernel: Callable[..., int]) -> bool:
    values = _tiny(dtype)
    threshold = int(keys(values[6:7]))
    for ties in range(3):
        ours, wanted = torch.zeros(2, values.numel(), dtype=torch.bool)
        used = kernel(values.data_ptr(), values.numel(), threshold, ties, ours.data_ptr())
        if used != _mark_reference(values, threshold, ties, wanted):
            return False
        if not torch.equal(ours, wanted):
            return False
    return True

"""Quantises a weight into the bytes of its section.

The same bytes are made by the compiled library and by the torch lines here, their reference twin.
"""

import ctypes
import math
from collections.abc import Callable

import torch
from torch import Tensor

from rarefy import _native
from rarefy.errors import PatternError, ScoreError, UnknownName
from rarefy.kernels._quantized import (
    HEAD,
    KINDS,
    LARGEST_HALF_SUM,
    LARGEST_SUM_8,
    LARGEST_SUM_16,
    LEAST,
    OWN_SCALES,
    Calibration,
    Layout,
)

_MARGIN = 0.98
"""Share of the largest sum that a row is scaled to where it would pass it."""

_QUANTIZE = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int32,
    ctypes.c_int32,
    ctypes.c_float,
    ctypes.c_void_p,
    ctypes.c_int64,
)


def quantize_weight(
    weight: Tensor, mask: Tensor | None, kind: str, calibration: Calibration = OWN_SCALES
) -> Tensor:
    """The bytes of a weight in low precision; weights that round to 0 are dropped.

    Args:
        weight: float32, out first, two sides or more; the rest are flattened as torch stores them.
        mask: bool, shaped like the weight: what is stored. None: what is not 0.
        kind: One of :data:`KINDS`. Integers are symmetric with a scale a row (largest size over 127
            or 32767), so zeros stay zero; float16 is scaled by a power of two a row.
        calibration: Only integers can have one, and only 8-bit activations one that is positive.

    Returns:
        uint8 on the CPU.

    Raises:
        UnknownName: No such kind.
        PatternError: Another dtype, shape or calibration than can be.
        ScoreError: A kept weight is infinite, NaN or too large.
    """
    if kind not in KINDS:
        raise UnknownName(f"there is no kind of weight '{kind}'. Kinds: {', '.join(KINDS)}.")
    _check(kind, calibration)
    dense, kept = _matrix(weight, mask)
    native = _native.function("rarefy_quantize", _QUANTIZE, _agrees)
    make = _reference if native is None else _through(native)
    return make(dense, kept, KINDS.index(kind), calibration)


def _check(kind: str, calibration: Calibration) -> None:
    scale = calibration.scale
    if scale and (not math.isfinite(scale) or scale < LEAST):
        raise PatternError(f"a scale of activations is a number above 1e-30; found {scale}.")
    if scale and kind in ("bf16", "f16"):
        raise PatternError(f"'{kind}' has no scale of activations. Leave the calibration out.")
    if calibration.positive and (kind != "w8a8" or not scale):
        raise PatternError(
            "only 'w8a8' with a scale knows activations that are never negative; found "
            f"'{kind}' with scale {scale}."
        )


def _matrix(weight: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    if weight.dtype is not torch.float32 or weight.dim() < 2:
        raise PatternError(
            f"a weight to quantise is float32 with two sides or more; found {weight.dtype} of "
            f"shape {tuple(weight.shape)}. Pass weight.float()."
        )
    if mask is not None and (mask.dtype is not torch.bool or mask.shape != weight.shape):
        raise PatternError(
            f"a mask is bool and shaped like its weight, {tuple(weight.shape)}; found {mask.dtype} "
            f"of shape {tuple(mask.shape)}."
        )
    shape = (weight.shape[0], math.prod(weight.shape[1:]))
    dense = weight.detach().cpu().reshape(shape).contiguous()
    kept = dense != 0 if mask is None else mask.detach().cpu().reshape(shape).contiguous()
    return dense, kept


_Maker = Callable[[Tensor, Tensor, int, Calibration], Tensor]


def _through(native: Callable[..., int]) -> _Maker:
    def make(dense: Tensor, kept: Tensor, kind: int, calibration: Calibration) -> Tensor:
        rows, columns = dense.shape
        room = Layout(kind, rows, columns, int(kept.count_nonzero())).size
        out = torch.empty(room, dtype=torch.uint8)
        size = native(
            *(dense.data_ptr(), kept.data_ptr(), rows, columns, kind),
            *(calibration.tokens, calibration.scale, out.data_ptr(), room),
        )
        if size == -2:
            raise _not_finite()
        if size < 0:
            raise PatternError(
                f"a weight of shape {tuple(dense.shape)} cannot be quantised: the library refused "
                "it. Do not change it meanwhile; RAREFY_KERNELS=reference does without it."
            )
        return out[:size].clone()

    return make


def _reference(dense: Tensor, kept: Tensor, kind: int, calibration: Calibration) -> Tensor:
    chosen = torch.where(kept, dense, 0.0)
    if not bool(torch.isfinite(chosen.bfloat16() if KINDS[kind] == "bf16" else chosen).all()):
        raise _not_finite()
    numbers, row_scale = _rounded(chosen, KINDS[kind])
    places = numbers.nonzero()
    stored = numbers[places[:, 0], places[:, 1]].to(_DTYPES[kind])
    rows, columns = dense.shape
    layout = Layout(kind, rows, columns, len(places))
    start = torch.zeros(rows + 1, dtype=torch.int64)
    start[1:] = torch.bincount(places[:, 0], minlength=rows).cumsum(0)
    column = places[:, 1].numpy().astype("<u2" if layout.column_bytes == 2 else "<u4")
    out = bytearray(layout.size)
    HEAD.pack_into(
        *(out, 0, rows, columns, len(places), kind, calibration.tokens, calibration.scale)
    )
    for offset, part in (
        (layout.row_scale, row_scale.numpy().tobytes()),
        (layout.start, start.numpy().tobytes()),
        (layout.column, column.tobytes()),
        (layout.value, stored.view(torch.uint8).numpy().tobytes()),
    ):
        out[offset : offset + len(part)] = part
    return torch.frombuffer(out, dtype=torch.uint8)


_DTYPES = (torch.int8, torch.int8, torch.int16, torch.bfloat16, torch.float16)


def _rounded(dense: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """The stored numbers, float64, and the scale of every row."""
    if kind == "bf16":
        return dense.bfloat16().double(), torch.ones(len(dense))
    most = dense.abs().amax(1) if dense.numel() else torch.zeros(len(dense))
    there = most >= LEAST
    dense = torch.where(there[:, None], dense, 0.0)
    if kind == "f16":
        return _halves(dense, torch.where(there, most, 0.5))
    scale = torch.where(there, most / (127 if kind != "w16a16" else 32767), 1.0)
    bound = _MARGIN * (LARGEST_SUM_16 if kind == "w16a16" else LARGEST_SUM_8)
    total = (dense / scale[:, None]).round_().abs().sum(1, dtype=torch.float64)
    wider = (scale.double() * (total / bound)).float()
    scale = torch.where(total > bound, wider, scale)
    return (dense / scale[:, None]).round_().double(), scale


def _halves(dense: Tensor, most: Tensor) -> tuple[Tensor, Tensor]:
    exponent = torch.frexp(most).exponent.clamp_(max=127)
    while True:
        factor = torch.pow(2.0, -exponent.double())
        halves = (dense.double() * factor[:, None]).float().half().double()
        over = halves.abs().sum(1) > _MARGIN * LARGEST_HALF_SUM
        if not bool(over.any()):
            return halves, torch.pow(2.0, exponent.double()).float()
        exponent = exponent + over


def _not_finite() -> ScoreError:
    return ScoreError(
        "a weight to quantise has a kept entry that is infinite, NaN or beyond the format. Go back "
        "to a checkpoint without such weights, or mask them."
    )


def _agrees(native: Callable[..., int]) -> bool:
    dense = torch.arange(5 * 70, dtype=torch.float32).mul_(0.37).sin_().reshape(5, 70)
    dense[dense.abs() < 0.5] = 0
    cases = [(kind, OWN_SCALES) for kind in range(len(KINDS))]
    cases += [(0, Calibration(0.02)), (0, Calibration(0.02, positive=True))]
    return all(
        torch.equal(
            _through(native)(dense, dense != 0, kind, calibration),
            _reference(dense, dense != 0, kind, calibration),
        )
        for kind, calibration in cases
    )

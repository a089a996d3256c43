"""Products in low precision in plain torch, rounded as the kernels round; and calibration."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rarefy.errors import EvidenceError
from rarefy.kernels._container import Section
from rarefy.kernels._quantize import quantize_weight
from rarefy.kernels._quantized import LEAST, OWN_SCALES, Calibration, Quantized, read_quantized

PRECISIONS = {"int8": "w8a8", "int8_weights": "w8a16", "bfloat16": "bf16", "float16": "f16"}
"""What a user asks for, and the kind of weight that it is."""

_MOST_SAMPLES = 1 << 20
_SHARES = 15


@dataclass(frozen=True, slots=True)
class Chosen:
    """A weight in the cheapest kind whose measured error was allowed.

    Attributes:
        section: Its bytes.
        kind: ``w8a8`` and so on.
        error: Norm of the difference from the exact product over the norm of the exact product.
    """

    section: Section
    kind: str
    error: float


def quantize(
    weight: Tensor, mask: Tensor | None, kind: str, calibration: Calibration = OWN_SCALES
) -> Section:
    """A weight in low precision as a section of kind ``quantized``.

    Args:
        weight: float32, out first, two sides or more; the rest are flattened as torch stores them.
        mask: bool, shaped like the weight: what is stored. None: what is not 0.
        kind: A kind (``w8a8``, ``w8a16``, ``w16a16``, ``bf16``, ``f16``: bits of weights and
            activations) or a precision (``int8``, ``int8_weights``, ``bfloat16``, ``float16``).
        calibration: A scale for all activations; by default each token has its own.

    Raises:
        UnknownName: No such kind.
        PatternError: Another dtype, shape or calibration than can be.
        ScoreError: A kept weight is infinite, NaN or too large.
    """
    data = quantize_weight(weight, mask, PRECISIONS.get(kind, kind), calibration)
    return Section("quantized", data)


def low_linear(x: Tensor, weight: Quantized, bias: Tensor | None = None) -> Tensor:
    """``x W^T + bias`` in low precision: the reference of the compiled product.

    For the integer kinds the compiled product gives the same bits; for the halves, the same within
    the rounding of their sums. A token (the last side of ``x``) with an activation that is infinite
    or NaN becomes NaN throughout; one whose sizes are all below 1e-30 counts as zero.

    Args:
        x: float32, (..., columns).
        weight: From :func:`rarefy.kernels._quantized.read_quantized`.
        bias: float32, one for each row.

    Returns:
        float32, (..., rows).
    """
    tokens = x.detach().reshape(-1, weight.shape[1])
    numbers, scale = rounded_tokens(tokens, weight)
    sums = (numbers @ weight.dense().T).float()  # exact for integers: below 2^31
    factor = weight.row_scale[None, :] * scale[:, None]
    shift = torch.zeros(weight.shape[0]) if bias is None else bias.detach()
    return _fused(sums, factor, shift.expand_as(sums)).reshape(*x.shape[:-1], weight.shape[0])


def rounded_tokens(tokens: Tensor, weight: Quantized) -> tuple[Tensor, Tensor]:
    """The numbers that stand for each token's activations, and what they are times.

    Returns:
        float64, like ``tokens`` but 0 throughout where a token is not finite; and float32, one
        scale a token, NaN for those.
    """
    finite = torch.isfinite(tokens.bfloat16() if weight.kind == "bf16" else tokens).all(1)
    tokens = torch.where(finite[:, None], tokens, 0.0)
    if weight.kind == "bf16":
        numbers, scale = tokens.bfloat16().double(), torch.ones(len(tokens))
        return numbers, torch.where(finite, scale, torch.nan)
    most = tokens.abs().amax(1) if tokens.numel() else torch.zeros(len(tokens))
    if weight.kind == "f16":
        there = most >= LEAST
        exponent = torch.frexp(torch.where(there, most, 4.0)).exponent.double() - 3
        numbers = (tokens.double() * torch.pow(2.0, -exponent)[:, None]).half().double()
        numbers, scale = torch.where(there[:, None], numbers, 0.0), torch.pow(2.0, exponent).float()
    else:
        numbers, scale, there = _integers(tokens, most, weight)
    scale = torch.where(there, scale, 0.0)
    return numbers, torch.where(finite, scale, torch.nan)


def _integers(tokens: Tensor, most: Tensor, weight: Quantized) -> tuple[Tensor, Tensor, Tensor]:
    low, high = _range(weight)
    fixed = torch.tensor(weight.calibration.scale)
    there = (most >= LEAST) | (fixed != 0)
    safe = torch.where(there, most, 1.0)
    top = torch.full_like(safe, high)  # a tensor: with a number torch may multiply by 1 / safe
    scale = fixed.expand_as(most) if fixed else safe / top
    inverse = fixed.reciprocal().expand_as(most) if fixed else top / safe
    numbers = (tokens * inverse[:, None]).clamp_(low, high).round_().double()
    return torch.where(there[:, None], numbers, 0.0), scale, there


def _range(weight: Quantized) -> tuple[float, float]:
    """Lowest and highest integer of an activation."""
    if weight.kind != "w8a8":
        return -weight.levels, weight.levels
    return (0, 255) if weight.calibration.positive else (-128, 127)


def _fused(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """``a * b + c`` of float32, rounded once.

    The product is exact in float64; the sum is rounded to odd there (Boldo and Melquiond 2008), so
    that rounding it to float32 is as if it had been exact.
    """
    product, addend = a.double() * b.double(), c.double()
    total = product + addend
    back = total - product
    lost = (product - (total - back)) + (addend - back)
    toward = torch.copysign(torch.full_like(total, torch.inf), lost)
    even = total.contiguous().view(torch.int64) & 1 == 0
    return torch.where((lost != 0) & even, torch.nextafter(total, toward), total).float()


def calibrate(samples: Iterable[Tensor]) -> Calibration:
    """One scale for all activations of a layer, from some that it was called with.

    The scale is that of 15 shares of the largest size whose rounded samples lie nearest to the
    samples (least squares): clipping what is rare can cost less than a coarser step for all.

    Args:
        samples: float32 tensors of any shape; about a million of their values are looked at.

    Raises:
        EvidenceError: There is no value, or one is not finite.
    """
    values = [tensor.detach().cpu().float().reshape(-1) for tensor in samples]
    all_values = torch.cat(values) if values else torch.empty(0)
    if not len(all_values) or not bool(torch.isfinite(all_values).all()):
        what = "infinite or NaN values" if len(all_values) else "no values"
        raise EvidenceError(
            f"the activations to calibrate with hold {what}. Pass the layer's inputs on a few "
            "batches such as the model is called with."
        )
    largest, positive = float(all_values.abs().max()), bool(all_values.min() >= 0)
    if largest < LEAST:
        return Calibration(1.0, positive)
    seen = all_values[:: -(-len(all_values) // _MOST_SAMPLES)]
    low, high = (0, 255) if positive else (-128, 127)
    shares = torch.linspace(1, 0.3, _SHARES).tolist()
    steps = [largest * share / high for share in shares]
    errors = [float(((seen / s).round().clamp(low, high) * s - seen).norm()) for s in steps]
    return Calibration(steps[min(range(_SHARES), key=errors.__getitem__)], positive)


def quantize_within(
    weight: Tensor,
    mask: Tensor | None,
    samples: Tensor,
    bound: float,
    kinds: Sequence[str] = ("w8a8", "w8a16"),
) -> Chosen:
    """The weight in the first kind whose error on real activations stays within ``bound``.

    Channels that stand out ruin 8-bit activations (errors of 3 to 5 % where 1 % is usual); then
    16-bit activations with the same weights are taken, or the layer is refused.

    Args:
        weight: float32, out first, two sides or more.
        mask: bool, shaped like the weight; None: what is not 0.
        samples: float32, (tokens, columns): what the layer was called with.
        bound: Largest relative error (norm over norm) of the layer's output, before its bias.
        kinds: What is tried, cheapest first.

    Raises:
        EvidenceError: No kind stays within the bound, or there is no sample.
    """
    if not samples.numel():
        raise EvidenceError("there is no activation to measure the cost of low precision on.")
    dense = weight.detach().cpu().reshape(len(weight), -1)
    kept = dense if mask is None else torch.where(mask.cpu().reshape(dense.shape), dense, 0.0)
    tokens = samples.detach().cpu().float().reshape(-1, dense.shape[1])
    exact = tokens.double() @ kept.double().T
    errors = {}
    for kind in kinds:
        section = quantize(weight, mask, kind)
        found = low_linear(tokens, read_quantized(section.data)).double()
        norm = float(exact.norm())
        errors[kind] = float((found - exact).norm()) / norm if norm else float(found.norm())
        if errors[kind] <= bound:
            return Chosen(section, kind, errors[kind])
    told = ", ".join(f"{kind} {error:.2%}" for kind, error in errors.items())
    raise EvidenceError(
        f"low precision would change this layer's output by more than {bound:.2%} (measured: "
        f"{told}). Keep it in float32, allow a larger error, or scale its outlier channels."
    )

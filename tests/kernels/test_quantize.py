"""Weights into low precision: by hand, through the library, and refused."""

import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rarefy import _native
from rarefy.errors import PatternError, ScoreError, UnknownName
from rarefy.kernels import _quantize
from rarefy.kernels._quantize import quantize_weight
from rarefy.kernels._quantized import KINDS, OWN_SCALES, Calibration, dequantized, read_quantized

native = _native.function("rarefy_quantize", _quantize._QUANTIZE)
needs_native = [
    pytest.mark.native,
    pytest.mark.skipif(native is None, reason="the library cannot quantise"),
]
native_too = pytest.mark.parametrize(
    "make",
    [
        _quantize._reference,
        pytest.param(native and _quantize._through(native), marks=needs_native, id="native"),
    ],
)


def made(make, weight, kind, calibration=OWN_SCALES, mask=None):
    kept = weight != 0 if mask is None else mask
    return make(weight, kept, KINDS.index(kind), calibration)


def sparse(rows, columns, density=0.3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=draw)
    return weight * (torch.rand(rows, columns, generator=draw) < density)


@native_too
def test_a_small_matrix_by_hand(make):
    # Row 0: scale 2 / 127, so 2 is 127 and -0.5 is -31.75, to nearest -32. Row 1 is empty.
    # Row 2: 0.001 is a thousandth of the largest, rounds to 0 and is not stored.
    weight = torch.tensor([[0, 2, 0, -0.5], [0, 0, 0, 0], [1, 0, 0.001, 0.5]])
    head = struct.pack("<qqqiif28x", 3, 4, 4, 0, 0, 0.0)
    scale = torch.tensor([2 / 127, 1, 1 / 127]).numpy().tobytes()
    by_hand = head + scale.ljust(64, b"\0") + struct.pack("<4q", 0, 2, 2, 4).ljust(64, b"\0")
    by_hand += struct.pack("<4H", 1, 3, 0, 3).ljust(64, b"\0")
    by_hand += struct.pack("<4b", 127, -32, 127, 64).ljust(64, b"\0")  # 63.5 to even
    assert bytes(made(make, weight, "w8a8").numpy()) == by_hand


@native_too
def test_halves_by_hand(make):
    weight = torch.tensor([[3.0, 0.0, 1.0]])
    section = bytes(made(make, weight, "bf16").numpy())
    assert struct.unpack_from("<f", section, 64) == (1.0,)
    assert struct.unpack_from("<2H", section, 256) == (0x4040, 0x3F80)
    section = bytes(made(make, weight, "f16").numpy())  # 3 is 0.75 times 4
    assert struct.unpack_from("<f", section, 64) == (4.0,)
    assert struct.unpack_from("<2e", section, 256) == (0.75, 0.25)


@native_too
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1), (7, 70001)])
def test_any_shape(make, kind, shape):
    weight = sparse(*shape, density=0.01)
    assert dequantized(made(make, weight, kind)).shape == shape


@needs_native[0]
@needs_native[1]
@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    rows=st.integers(0, 9),
    columns=st.integers(0, 200),
    density=st.floats(0, 1),
    size=st.integers(-33, 30),
    seed=st.integers(0, 1000),
)
def test_the_library_makes_the_same_bytes(kind, rows, columns, density, size, seed):
    weight = sparse(rows, columns, density, seed) * 10.0**size
    weight[:1] *= 1e-3
    assert torch.equal(
        made(_quantize._through(native), weight, kind), made(_quantize._reference, weight, kind)
    )


@pytest.mark.parametrize(
    ("kind", "worst"),
    [
        ("w8a8", 0.5 / 127),
        ("w8a16", 0.5 / 127),
        ("w16a16", 2**-12),
        ("bf16", 2**-8),
        ("f16", 2**-11),
    ],
)
def test_a_weight_moves_by_half_a_step_at_most(kind, worst):
    weight = sparse(20, 300)
    moved = (dequantized(quantize_weight(weight, None, kind)) - weight).abs()
    assert float((moved / weight.abs().amax(1, keepdim=True)).max()) <= worst
    assert bool((moved[weight == 0] == 0).all())


def test_a_mask_decides_what_is_stored():
    weight = torch.tensor([[1.0, torch.nan], [3.0, 4.0]])
    mask = torch.tensor([[True, False], [False, True]])
    section = quantize_weight(weight, mask, "w8a8")
    assert dequantized(section).tolist() == [[1, 0], [0, 4]]


@native_too
def test_long_rows_get_a_wider_scale(make):
    # 9000 times 32767 times any activation of 8191 would leave 32 bits.
    weight = torch.ones(2, 9000)
    weight[1, 7:] = 0
    read = read_quantized(made(make, weight, "w16a16"))
    dense = read.dense()
    assert float(dense[1].max()) == 32767
    assert 0 < float(dense[0].max()) < 30
    assert float(dense.abs().sum(1).max()) * read.levels < 2**31
    halves = read_quantized(made(make, weight, "f16")).dense()
    assert float(halves.abs().sum(1).max()) <= 7500


@native_too
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [torch.inf, -torch.inf, torch.nan])
def test_a_weight_that_is_no_number_is_refused(make, kind, bad):
    weight = torch.ones(3, 4)
    weight[2, 1] = bad
    with pytest.raises(ScoreError, match="infinite, NaN"):
        made(make, weight, kind)


@native_too
def test_a_weight_beyond_bfloat16_is_refused(make):
    weight = torch.full((1, 2), torch.finfo(torch.float32).max)
    with pytest.raises(ScoreError):
        made(make, weight, "bf16")
    assert bool(torch.isfinite(dequantized(made(make, weight / 2, "f16"))).all())


@native_too
def test_the_calibration_is_stored(make):
    weight = sparse(4, 10)
    for calibration in (Calibration(0.25), Calibration(0.25, positive=True)):
        assert read_quantized(made(make, weight, "w8a8", calibration)).calibration == calibration


def test_what_cannot_be_is_refused():
    weight = torch.ones(2, 3)
    with pytest.raises(UnknownName, match="w8a8, w8a16"):
        quantize_weight(weight, None, "w4a4")
    with pytest.raises(PatternError, match="float32"):
        quantize_weight(weight.double(), None, "w8a8")
    with pytest.raises(PatternError, match="two sides"):
        quantize_weight(weight[0], None, "w8a8")
    with pytest.raises(PatternError, match="mask"):
        quantize_weight(weight, weight, "w8a8")
    with pytest.raises(PatternError, match="no scale of activations"):
        quantize_weight(weight, None, "bf16", Calibration(0.1))
    with pytest.raises(PatternError, match="never negative"):
        quantize_weight(weight, None, "w8a16", Calibration(0.1, positive=True))
    with pytest.raises(PatternError, match="above 1e-30"):
        quantize_weight(weight, None, "w8a8", Calibration(1e-40))


@needs_native[0]
@needs_native[1]
def test_the_library_is_checked_before_it_is_used():
    assert _quantize._agrees(native)
    assert not _quantize._agrees(lambda *_: 320)

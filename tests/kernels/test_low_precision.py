"""Products in low precision: by hand, the same bits as the library's, calibration and choice."""

import ctypes
import itertools
from fractions import Fraction

import pytest
import torch

from rarefy import _native
from rarefy.errors import EvidenceError
from rarefy.kernels import _low_precision, floats, join, pack, twin
from rarefy.kernels._low_precision import (
    calibrate,
    low_linear,
    quantize,
    quantize_within,
    rounded_tokens,
)
from rarefy.kernels._quantized import KINDS, OWN_SCALES, Calibration, read_quantized
from rarefy.kernels._runtime import Native, is_here


def weight_of(matrix, kind, calibration=OWN_SCALES):
    return read_quantized(quantize(matrix, None, kind, calibration).data)


def sparse(rows, columns, density=0.3):
    torch.manual_seed(1)
    return torch.randn(rows, columns) * (torch.rand(rows, columns) < density)


def test_a_product_by_hand():
    # Weights 127 (scale 2 / 127) and -64 (scale 1 / 127: -63.5 to even); activations of the token
    # (4, -1): scale 4 / 127, numbers 127 and -31.75, to nearest -32.
    weight = weight_of(torch.tensor([[2.0, 0.0], [1.0, -0.5]]), "w8a8")
    y = low_linear(torch.tensor([[4.0, -1.0]]), weight, torch.tensor([0.0, 1.0]))
    first = 127 * 127 * (2 / 127) * (4 / 127)
    second = (127 * 127 + 64 * 32) * (1 / 127) * (4 / 127) + 1
    assert y[0].tolist() == pytest.approx([first, second], rel=1e-6)
    assert first == pytest.approx(8)


def test_tokens_by_hand():
    x = torch.tensor([[0.5, -1.0, 2.0]])
    own, scale = rounded_tokens(x, weight_of(torch.ones(1, 3), "w8a8"))
    assert own.tolist() == [[32, -64, 127]]  # 31.75, -63.5 to even, 127
    assert scale.tolist() == pytest.approx([2 / 127])
    fixed, scale = rounded_tokens(x, weight_of(torch.ones(1, 3), "w8a8", Calibration(0.01)))
    assert fixed.tolist() == [[50, -100, 127]]
    assert scale.tolist() == pytest.approx([0.01])
    positive = Calibration(0.01, positive=True)
    numbers, _ = rounded_tokens(x, weight_of(torch.ones(1, 3), "w8a8", positive))
    assert numbers.tolist() == [[50, 0, 200]]
    numbers, scale = rounded_tokens(x, weight_of(torch.ones(1, 3), "f16"))
    assert (numbers.tolist(), scale.tolist()) == ([[1.0, -2.0, 4.0]], [0.5])


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_is_not_finite_becomes_nan(kind):
    weight = weight_of(sparse(5, 8), kind)
    x = torch.ones(4, 8)
    x[1, 3], x[2, 0] = torch.inf, torch.nan
    y = low_linear(x, weight, torch.ones(5))
    assert y.isnan().tolist() == [[False] * 5, [True] * 5, [True] * 5, [False] * 5]
    assert torch.equal(y[0], y[3])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_gives_the_bias(kind):
    y = low_linear(torch.full((2, 8), 1e-35), weight_of(sparse(5, 8), kind), torch.arange(5.0))
    assert float((y - torch.arange(5.0)).abs().max()) < 1e-30


@pytest.mark.parametrize(
    ("kind", "worst"),
    [("w8a8", 0.013), ("w8a16", 0.009), ("w16a16", 2e-4), ("bf16", 4e-3), ("f16", 5e-4)],
)
def test_near_the_exact_product(kind, worst):
    matrix, x = sparse(64, 300), torch.randn(3, 5, 300)
    exact = x.double() @ matrix.double().T
    y = low_linear(x, weight_of(matrix, kind))
    assert y.shape == (3, 5, 64)
    assert float((y - exact).norm() / exact.norm()) < worst


def test_the_fused_operation_rounds_once():
    torch.manual_seed(0)
    a, b = torch.randn(2000), torch.randn(2000)
    c = -(a * b) * (1 + torch.randint(-3, 4, (2000,)) * 2.0**-23) + torch.randn(2000) * 1e-9
    # Ties of float32 that a sum rounded twice falls off from.
    a[:3], b[:3] = 1 + 2.0**-12, 1 + 2.0**-12
    c[:3] = torch.tensor([2.0**-60, -(2.0**-60), 0.0])
    found = _low_precision._fused(a, b, c)
    for one, other, third, answer in zip(a, b, c, found, strict=True):
        exact = Fraction(float(one)) * Fraction(float(other)) + Fraction(float(third))
        near = [answer, *(torch.nextafter(answer, torch.tensor(e)) for e in (9e9, -9e9))]
        far = [abs(Fraction(float(value)) - exact) for value in near]
        assert far[0] == min(far)


NEW = ctypes.CFUNCTYPE(
    ctypes.c_void_p,
    *(ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_char_p),
    *(ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64),
)
RUN = ctypes.CFUNCTYPE(
    ctypes.c_int,
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p),
    *(ctypes.c_void_p, ctypes.c_int, ctypes.c_int),
)
FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
native = _native.function("rarefy_window_new", NEW)


def through_the_library(x, section, bias, kernel_set, form):
    message = ctypes.create_string_buffer(200)
    name = (kernel_set.encode(), form.encode())
    handle = native(section.data_ptr(), len(section), *name, len(x), message, 200)
    if not handle:
        return None
    y = torch.empty(len(x), len(bias))
    run = _native.function("rarefy_window_run", RUN)
    assert run(handle, x.data_ptr(), len(x), y.data_ptr(), bias.data_ptr(), 0, 2) == 0
    _native.function("rarefy_window_free", FREE)(handle)
    return y


@pytest.mark.native
@pytest.mark.skipif(native is None, reason="the library has no low precision")
@pytest.mark.parametrize("kind", KINDS)
def test_the_library_gives_the_same(kind):
    matrix, bias = sparse(37, 150), torch.randn(37)
    x = torch.randn(19, 150)
    x[3], x[4, 7], x[5, 2] = 0, torch.nan, 1e4
    section = quantize(matrix, None, kind).data
    wanted = low_linear(x, read_quantized(section), bias)
    ran = 0
    for kernel_set in _native.sets():
        for form in ("narrow", "wide", "tiles", "masks", "lists", "code"):
            y = through_the_library(x, section, bias, kernel_set, form)
            if y is None:
                continue
            ran += 1
            assert torch.equal(y.isnan(), wanted.isnan())
            if kind in ("bf16", "f16"):
                away = (y - wanted).nan_to_num().norm(dim=1) / wanted.nan_to_num().norm(dim=1)
                assert float(away.nan_to_num().max()) < (
                    4e-3 if form in ("lists", "code") else 1e-6
                )
            else:
                assert torch.equal(y.nan_to_num(7), wanted.nan_to_num(7))
    assert ran >= 2


def test_calibration_takes_the_step_that_costs_least():
    assert calibrate([torch.tensor([-1.0, 0.5]), torch.tensor([[0.25]])]).positive is False
    even = torch.linspace(0, 3, 10_000)
    found = calibrate([even])
    assert found.positive
    assert found.scale == pytest.approx(3 / 255, rel=0.06)
    torch.manual_seed(0)
    rare = torch.cat([torch.randn(100_000), torch.tensor([9.0])])
    assert calibrate([rare]).scale < 0.7 * 9 / 127
    assert calibrate([torch.zeros(3)]) == Calibration(1.0, positive=True)


@pytest.mark.parametrize("samples", [[], [torch.empty(0, 4)], [torch.tensor([1.0, torch.nan])]])
def test_calibration_needs_numbers(samples):
    with pytest.raises(EvidenceError, match="activations to calibrate"):
        calibrate(samples)


def test_the_cheapest_kind_within_the_bound_is_taken():
    matrix = sparse(32, 200)
    plain = torch.randn(64, 200)
    chosen = quantize_within(matrix, None, plain, 0.02)
    assert (chosen.kind, chosen.section.kind) == ("w8a8", "quantized")
    assert 0.005 < chosen.error < 0.02
    plain[:, :4] *= 40  # channels that stand out
    chosen = quantize_within(matrix, None, plain, 0.02)
    assert chosen.kind == "w8a16"
    assert chosen.error < 0.01
    with pytest.raises(EvidenceError, match=r"w8a8 \d.*w8a16 0\.\d"):
        quantize_within(matrix, None, plain, 1e-4)
    with pytest.raises(EvidenceError, match="no activation"):
        quantize_within(matrix, None, plain[:0], 0.1)


def test_precisions_are_kinds():
    matrix = sparse(4, 9)
    for name, kind in (("int8", "w8a8"), ("bfloat16", "bf16")):
        assert torch.equal(quantize(matrix, None, name).data, quantize(matrix, None, kind).data)


CHAIN = """rarefy 1
input r0 rank=2
linear r1 r0 w=0:130x61 b=1
gelu r2 r1
linear r3 r2 w=2:61x130 b=3
add r4 r3 r0
norm r5 r4 p=4:61 eps=1e-05
linear r6 r5 w=5:40x61 b=-
output r6
output r4"""


@pytest.mark.native
@pytest.mark.skipif(not is_here(), reason="the library does not run chains")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("last", ["quantized", "tiles"])
def test_a_chain_of_low_precision_runs_in_the_library(kind, last):
    torch.manual_seed(0)
    up, down, out = (sparse(*shape) / 4 for shape in ((130, 61), (61, 130), (40, 61)))
    sections = [
        *(quantize(up, None, kind), floats(torch.randn(130))),
        *(quantize(down, None, kind), floats(torch.randn(61)), floats(torch.randn(122))),
        quantize(out, None, kind) if last == "quantized" else pack(out),
    ]
    native, packed = Native(join(sections), CHAIN), join(sections)
    before = torch.get_num_threads()
    try:
        for tokens, threads in itertools.product((0, 1, 3, 16, 65, 200), (1, 2, 4)):
            torch.set_num_threads(threads)
            x = torch.randn(tokens, 61)
            found = native.run([x])
            for ours, theirs in zip(found, twin([x], packed, CHAIN), strict=True):
                # What was rounded once before may now be rounded to the number beside it.
                assert float((ours - theirs).norm()) <= 0.004 * float(theirs.norm())
            again = native.run([x])
            assert all(torch.equal(one, two) for one, two in zip(found, again, strict=True))
    finally:
        torch.set_num_threads(before)

"""The section of a weight in low precision: there and back, and damaged."""

import random
import struct

import pytest
import torch

from rarefy.errors import FileError
from rarefy.kernels._quantize import quantize_weight
from rarefy.kernels._quantized import KINDS, Calibration, dequantized, read_quantized

WEIGHT = torch.tensor([[0.0, 2.0, 0.0, -0.5], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.5]])


def section(kind="w8a8", calibration=None):
    return quantize_weight(WEIGHT, None, kind, *([calibration] if calibration else []))


def changed(data, offset, form, value):
    raw = bytearray(data.numpy().tobytes())
    struct.pack_into(form, raw, offset, value)
    return torch.frombuffer(raw, dtype=torch.uint8)


def test_what_a_section_holds():
    read = read_quantized(section())
    assert (read.kind, read.shape, read.levels) == ("w8a8", (3, 4), 127)
    assert read.dense().tolist() == [[0, 127, 0, -32], [0, 0, 0, 0], [127, 0, 0, 64]]
    assert read.row_scale.tolist() == pytest.approx([2 / 127, 1, 1 / 127])


@pytest.mark.parametrize(
    ("kind", "worst"), list(zip(KINDS, (0.009, 0.009, 4e-5, 0, 0), strict=True))
)
def test_there_and_back(kind, worst):
    assert float((dequantized(section(kind)) - WEIGHT).abs().max()) <= worst


def test_levels_leave_room_for_the_largest_sum():
    weight = torch.ones(1, 4000)
    levels = read_quantized(quantize_weight(weight, None, "w8a16")).levels
    assert levels == (2**31 - 1) // (127 * 4000)
    assert read_quantized(section("w8a16")).levels == 32767


# Offsets: header to 64, scales 64, starts 128, columns 192, values 256.
@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [
        pytest.param(0, "<q", 4, id="rows"),
        pytest.param(0, "<q", -1, id="negative"),
        pytest.param(0, "<q", 2**62, id="huge"),
        pytest.param(8, "<q", 3, id="columns"),
        pytest.param(8, "<q", 2**62, id="too wide"),
        pytest.param(8, "<q", 2**30, id="wide for its bytes"),
        pytest.param(16, "<q", 5, id="count"),
        pytest.param(24, "<i", 9, id="kind"),
        pytest.param(24, "<i", -1, id="no kind"),
        pytest.param(28, "<i", 3, id="tokens"),
        pytest.param(28, "<i", 1, id="no scale"),
        pytest.param(32, "<f", 0.5, id="scale"),
        pytest.param(40, "<B", 1, id="header"),
        pytest.param(64, "<f", 0.0, id="row scale"),
        pytest.param(64, "<f", float("nan"), id="NaN scale"),
        pytest.param(80, "<B", 1, id="between"),
        pytest.param(128, "<q", 1, id="first start"),
        pytest.param(136, "<q", 5, id="start"),
        pytest.param(144, "<q", 1, id="starts fall"),
        pytest.param(192, "<H", 3, id="columns repeat"),
        pytest.param(194, "<H", 4, id="column outside"),
        pytest.param(260, "<B", 1, id="after"),
    ],
)
def test_a_damaged_section_is_refused(offset, form, value):
    with pytest.raises(FileError, match="low precision is damaged"):
        read_quantized(changed(section(), offset, form, value))


def test_sums_that_overflow_are_refused():
    weight = torch.ones(1, 300)
    data = quantize_weight(weight, None, "f16")
    raw = bytearray(data.numpy().tobytes())
    at = len(raw) - 640  # 300 halves and zeros up to a multiple of 64
    raw[at : at + 600] = struct.pack("<e", 60000) * 300
    with pytest.raises(FileError, match="overflows"):
        read_quantized(torch.frombuffer(raw, dtype=torch.uint8))
    raw[at : at + 2] = struct.pack("<e", float("inf"))
    with pytest.raises(FileError, match="not finite"):
        read_quantized(torch.frombuffer(raw, dtype=torch.uint8))


def test_too_short_is_refused():
    for size in (0, 63, 64, 200, 319):
        with pytest.raises(FileError, match="damaged"):
            read_quantized(section()[:size])


def test_any_bytes_are_read_or_refused():
    draw = random.Random(3)
    refused = 0
    for kind in KINDS:
        good = section(kind).numpy().tobytes()
        for _ in range(150):
            raw = bytearray(good)
            for _ in range(draw.randint(1, 3)):
                raw[draw.randrange(len(raw))] = draw.randrange(256)
            try:
                read_quantized(torch.frombuffer(raw, dtype=torch.uint8))
            except FileError:
                refused += 1
    assert 300 < refused < 750


def test_a_calibration_is_read():
    found = read_quantized(section(calibration=Calibration(0.5, positive=True))).calibration
    assert found == Calibration(0.5, positive=True)
    assert found.tokens == 2

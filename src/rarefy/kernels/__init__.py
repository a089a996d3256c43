"""Chains of sparse layers: their packed bytes, their program, and running them."""

from rarefy.kernels import _op  # noqa: F401 - registers torch.ops.rarefy
from rarefy.kernels._container import Section, floats, join, pack, read, unpack
from rarefy.kernels._low_precision import Chosen, calibrate, quantize, quantize_within
from rarefy.kernels._plan import Plan
from rarefy.kernels._program import Place, Step, steps, text
from rarefy.kernels._quantized import Calibration
from rarefy.kernels._twin import twin

__all__ = [
    "Calibration",
    "Chosen",
    "Place",
    "Plan",
    "Section",
    "Step",
    "calibrate",
    "floats",
    "join",
    "pack",
    "quantize",
    "quantize_within",
    "read",
    "steps",
    "text",
    "twin",
    "unpack",
]

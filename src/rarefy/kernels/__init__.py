"""Chains of sparse layers, packed, and running them; products with weights that are trained."""

from rarefy.kernels import _op  # noqa: F401 - registers torch.ops.rarefy
from rarefy.kernels._container import Section, floats, join, pack, read, unpack
from rarefy.kernels._geometry import Geometry
from rarefy.kernels._low_precision import Chosen, calibrate, quantize, quantize_within
from rarefy.kernels._plan import Plan
from rarefy.kernels._program import Place, Step, steps, text
from rarefy.kernels._quantized import Calibration
from rarefy.kernels._slots import Products
from rarefy.kernels._slots_held import Held
from rarefy.kernels._slots_op import slots
from rarefy.kernels._topology import Topology
from rarefy.kernels._twin import twin

__all__ = [
    "Calibration",
    "Chosen",
    "Geometry",
    "Held",
    "Place",
    "Plan",
    "Products",
    "Section",
    "Step",
    "Topology",
    "calibrate",
    "floats",
    "join",
    "pack",
    "quantize",
    "quantize_within",
    "read",
    "slots",
    "steps",
    "text",
    "twin",
    "unpack",
]

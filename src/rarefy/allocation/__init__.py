"""How much per layer: units kept in all become units kept in each weight, exactly.

An allocation is ``allocation(units, count, minimum=1)``: :class:`rarefy._types.Units` by name and
the units kept in all, to the units kept by name. Its counts add up to ``count``.
"""

from rarefy.allocation._by_name import ByName
from rarefy.allocation._erdos_renyi import erdos_renyi, erdos_renyi_kernel
from rarefy.allocation._global import global_
from rarefy.allocation._lamp import lamp
from rarefy.allocation._uniform import uniform

__all__ = [
    "ByName",
    "erdos_renyi",
    "erdos_renyi_kernel",
    "global_",
    "lamp",
    "uniform",
]

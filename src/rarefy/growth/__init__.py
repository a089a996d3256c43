"""How to regrow: which removed units return, how many, and as what."""

from rarefy.growth._drop import smallest, smallest_of_each_sign
from rarefy.growth._exchange import exchange
from rarefy.growth._growth import Gradient, Growth, Momentum, None_, Random
from rarefy.growth._neighbours import Grids, Neighbours
from rarefy.growth._redistribute import redistribute

__all__ = [
    "Gradient",
    "Grids",
    "Growth",
    "Momentum",
    "Neighbours",
    "None_",
    "Random",
    "exchange",
    "redistribute",
    "smallest",
    "smallest_of_each_sign",
]

"""Holding masks while a model trains, and changing them when it is time."""

from rarefy.training._collected import mean_gradients
from rarefy.training._method import Method, Plan
from rarefy.training._optimizers import check_optimizers
from rarefy.training._registry import masks_of, sparsifier_of
from rarefy.training._sparsifier import Sparsifier

__all__ = [
    "Method",
    "Plan",
    "Sparsifier",
    "check_optimizers",
    "masks_of",
    "mean_gradients",
    "sparsifier_of",
]

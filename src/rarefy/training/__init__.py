"""Holding masks while a model trains, and changing them when it is time."""

from rarefy.training._collected import mean_gradients
from rarefy.training._compressed import CompressedSparsifier
from rarefy.training._method import Method, Plan
from rarefy.training._optimizers import check_optimizers
from rarefy.training._refusals import refuse_dense_start, refuse_layers, refuse_method
from rarefy.training._registry import masks_of, sparsifier_of
from rarefy.training._sparsifier import Sparsifier
from rarefy.training._swap import refuse_optimizers

__all__ = [
    "CompressedSparsifier",
    "Method",
    "Plan",
    "Sparsifier",
    "check_optimizers",
    "masks_of",
    "mean_gradients",
    "refuse_dense_start",
    "refuse_layers",
    "refuse_method",
    "refuse_optimizers",
    "sparsifier_of",
]

"""Measures a model: counts, FLOPs, bytes, latency, dead structure, overlap of masks."""

from rarefy.metrics._bytes import Sizes, WeightSizes, sizes
from rarefy.metrics._counts import Count, Counts, counts, counts_of
from rarefy.metrics._dead import Dead, dead
from rarefy.metrics._example import Example, batch_of, run
from rarefy.metrics._flops import Flops, WeightFlops, flops
from rarefy.metrics._latency import Latency, latency
from rarefy.metrics._overlap import Overlap, churn, jaccard, overlap
from rarefy.metrics._training_cost import training_cost
from rarefy.metrics._undisturbed import undisturbed

__all__ = [
    "Count",
    "Counts",
    "Dead",
    "Example",
    "Flops",
    "Latency",
    "Overlap",
    "Sizes",
    "WeightFlops",
    "WeightSizes",
    "batch_of",
    "churn",
    "counts",
    "counts_of",
    "dead",
    "flops",
    "jaccard",
    "latency",
    "overlap",
    "run",
    "sizes",
    "training_cost",
    "undisturbed",
]

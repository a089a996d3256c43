"""Measures a model: counts, FLOPs, bytes, latency, dead structure, overlap of masks, training."""

from rarefy.metrics._bytes import Sizes, WeightSizes, sizes
from rarefy.metrics._counts import Count, Counts, counts, counts_of
from rarefy.metrics._dead import Dead, dead
from rarefy.metrics._example import Example, batch_of, run
from rarefy.metrics._flops import flops
from rarefy.metrics._latency import Latency, latency
from rarefy.metrics._meter import Metered, TrainingMeter
from rarefy.metrics._overlap import Overlap, churn, jaccard, overlap
from rarefy.metrics._resident import peak_resident, reset_peak, resident
from rarefy.metrics._slot_flops import Flops, WeightFlops
from rarefy.metrics._training_bytes import TrainingBytes, training_bytes
from rarefy.metrics._training_cost import training_cost
from rarefy.metrics._training_flops import training_flops
from rarefy.metrics._undisturbed import undisturbed

__all__ = [
    "Count",
    "Counts",
    "Dead",
    "Example",
    "Flops",
    "Latency",
    "Metered",
    "Overlap",
    "Sizes",
    "TrainingBytes",
    "TrainingMeter",
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
    "peak_resident",
    "reset_peak",
    "resident",
    "run",
    "sizes",
    "training_bytes",
    "training_cost",
    "training_flops",
    "undisturbed",
]

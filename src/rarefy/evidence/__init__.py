"""What scores need beyond the weight, collected from batches; the model stays as it is."""

from rarefy.evidence._gradients import gradients
from rarefy.evidence._loss import check_batches, mean_loss

__all__ = [
    "check_batches",
    "gradients",
    "mean_loss",
]

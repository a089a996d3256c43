"""Evidence as every rank sees it: collected from each rank's batches, then averaged over ranks."""

from collections.abc import Mapping

from torch import Tensor, nn

from rarefy._types import Batches, Loss
from rarefy.communication import mean_over_ranks_
from rarefy.evidence import gradients


def mean_gradients(
    model: nn.Module,
    weights: Mapping[str, nn.Parameter],
    data: Batches,
    loss: Loss | None = None,
) -> dict[str, Tensor]:
    """dL/dw by name, the mean over batches and over ranks; see :func:`rarefy.evidence.gradients`.

    Raises:
        EvidenceError: There is no batch, or a weight has no part in the loss.
    """
    found = gradients(model, weights, data, loss)
    for gradient in found.values():
        mean_over_ranks_(gradient)
    return found

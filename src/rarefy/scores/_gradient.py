"""Scores from the first-order expansion of the loss."""

from torch import Tensor


def gradient(gradient: Tensor) -> Tensor:
    """``|dL/dw|``: how fast the loss moves with the weight, whatever the weight is.

    Args:
        gradient: Mean over batches.

    Evci et al., "Rigging the Lottery", 2020, section 3, where it picks what grows.
    """
    return gradient.abs()


def taylor(weight: Tensor, gradient: Tensor) -> Tensor:
    """``|w * dL/dw|``: the change of the loss, to first order, when the weight goes.

    Args:
        weight: The weight.
        gradient: Mean over batches, shaped like the weight.

    Molchanov et al., "Pruning Convolutional Neural Networks for Resource Efficient Inference",
    2017, eq. 7, for single weights; Mozer and Smolensky, 1989, for units.
    """
    return (weight * gradient).abs()

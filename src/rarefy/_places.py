"""Places found and sorted, on the CPU in a fraction of the time that torch takes."""

import numpy as np
import torch
from torch import Tensor


def where(flags: Tensor) -> Tensor:
    """int64, ascending: where a flat bool tensor is True.

    >>> where(torch.tensor([False, True, True]))
    tensor([1, 2])
    """
    if flags.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(flags.numpy()))
    return flags.nonzero().squeeze(1)


def in_order(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted keys, int64 and not negative, and where each stood.

    >>> in_order(torch.tensor([5, 0, 9]))
    (tensor([0, 5, 9]), tensor([1, 0, 2]))
    """
    count, most = keys.numel(), int(keys.max()) if keys.numel() else 0
    bits = count.bit_length()
    if keys.device.type != "cpu" or most.bit_length() + bits > 62:
        found = keys.sort()
        return found.values, found.indices
    # Key and place in one integer: plain integers are sorted several times as fast.
    joined = (keys << bits).add_(torch.arange(count))
    joined.numpy().sort()
    return joined >> bits, joined.bitwise_and_((1 << bits) - 1)

"""One seed, one mean and one mask on all ranks of torch.distributed's default group."""

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
import torch.distributed as distributed
from torch import Tensor

from rarefy.errors import InvariantError


def world_size() -> int:
    """Ranks in the default group; 1 where there is none."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def same_seed(seed: int) -> int:
    """Rank 0's seed, on every rank."""
    if world_size() == 1:
        return seed
    shared = torch.tensor([seed], dtype=torch.int64, device=_device())
    distributed.broadcast(shared, src=0)
    return int(shared.item())


def mean_over_ranks_(tensor: Tensor) -> None:
    """Replace ``tensor`` on every rank by the mean over ranks, in place."""
    if world_size() == 1:
        return
    there = tensor if _device().type == tensor.device.type else tensor.to(_device())
    there = there.contiguous()
    distributed.all_reduce(there)
    tensor.copy_(there.div_(world_size()))


def check_agreement(masks: Mapping[str, Tensor], *, step: int) -> None:
    """Compare a checksum of the masks over ranks. Every rank must come here.

    Raises:
        InvariantError: Ranks hold different masks.
    """
    if world_size() == 1:
        return
    own = torch.tensor([checksum(masks)], dtype=torch.int64, device=_device())
    every = [torch.empty_like(own) for _ in range(world_size())]
    distributed.all_gather(every, own)
    sums = [int(each.item()) for each in every]
    if len(set(sums)) > 1:
        different = [rank for rank, each in enumerate(sums) if each != sums[0]]
        raise InvariantError(
            f"step {step}: ranks {different} chose other masks than rank 0. Masks follow from "
            "weights and gradients, so these differ: wrap the model in DistributedDataParallel "
            "before rarefy.sparsify, and let every rank take the same steps."
        )


def checksum(masks: Mapping[str, Tensor]) -> int:
    """64 bits that tell one set of masks from another, names and shapes included."""
    digest = hashlib.blake2b(digest_size=8)
    for name, mask in masks.items():
        digest.update(f"{name}{tuple(mask.shape)}".encode())
        digest.update(np.packbits(mask.cpu().numpy()).tobytes())
    return int.from_bytes(digest.digest(), "little", signed=True)


def _device() -> torch.device:
    backend = distributed.get_backend()
    return (
        torch.device("cuda", torch.cuda.current_device())
        if backend == "nccl"
        else torch.device("cpu")
    )

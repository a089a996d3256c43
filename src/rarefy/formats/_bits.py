"""Masks as packed bits: one bit a weight, the first weight in the lowest bit."""

import math

import numpy as np
import torch
from torch import Tensor

from rarefy.errors import FileError


def pack_bits(mask: Tensor) -> Tensor:
    """The mask as bytes: bit ``i % 8`` of byte ``i // 8`` is element ``i`` in row-major order.

    Args:
        mask: Bool, any shape, device and strides; it may be empty or without sides.

    Returns:
        ``uint8`` on the CPU, ``ceil(mask.numel() / 8)`` bytes; bits after the last are zero.

    Raises:
        FileError: The mask is not bool.

    >>> pack_bits(torch.tensor([[True, False], [True, True]]))
    tensor([13], dtype=torch.uint8)
    """
    if mask.dtype != torch.bool:
        raise FileError(f"a mask is bool, True where kept; found {mask.dtype}. Pass mask.bool().")
    flat = mask.detach().cpu().contiguous().reshape(-1).numpy()
    return torch.from_numpy(np.packbits(flat, bitorder="little"))


def unpack_bits(bits: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The bool mask of ``shape`` whose packed bits are ``bits``, on the CPU.

    Args:
        bits: ``uint8``, as made by :func:`pack_bits`.
        shape: Sides of the mask; ``()`` for a single element.

    Raises:
        FileError: Another dtype or length, or a bit is set after the last element.

    >>> unpack_bits(torch.tensor([13], dtype=torch.uint8), (2, 2))
    tensor([[ True, False],
            [ True,  True]])
    """
    size = math.prod(shape)
    wanted = (size + 7) // 8
    if bits.dtype != torch.uint8 or tuple(bits.shape) != (wanted,):
        raise FileError(
            f"a packed mask of shape {shape} is {wanted} bytes of uint8; found {bits.dtype} of "
            f"shape {tuple(bits.shape)}. The mask is damaged or of another weight."
        )
    packed = bits.detach().cpu().contiguous().numpy()
    if size % 8 and packed[-1] >> size % 8:
        raise FileError(
            f"a packed mask of shape {shape} has bits set after its last element ({size}). "
            "The mask is damaged."
        )
    flat = np.unpackbits(packed, count=size, bitorder="little").view(np.bool_)
    return torch.from_numpy(flat).reshape(shape)

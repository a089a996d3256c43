"""The names that safetensors gives to dtypes, and tensors as plain bytes."""

import math

import numpy as np
import torch
from torch import Tensor

from rarefy.errors import FileError

DTYPES: dict[str, torch.dtype] = {
    "BF16": torch.bfloat16,
    "BOOL": torch.bool,
    "C64": torch.complex64,
    "F16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "I8": torch.int8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "U8": torch.uint8,
}
"""Name in a file to dtype."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}

Words = np.ndarray[tuple[int], np.dtype[np.unsignedinteger]]
"""A tensor's elements as unsigned integers of the same width: what is copied and compared."""


def name_of(dtype: torch.dtype, key: str) -> str:
    """What safetensors calls ``dtype``.

    Raises:
        FileError: It has no name for it.
    """
    if dtype not in _NAMES:
        raise FileError(
            f"{key} has dtype {dtype}, which safetensors cannot hold. It holds: "
            f"{', '.join(str(known).removeprefix('torch.') for known in _NAMES)}."
        )
    return _NAMES[dtype]


def itemsize(dtype: str) -> int:
    """Bytes of one element."""
    return DTYPES[dtype].itemsize


def size_of(shape: tuple[int, ...]) -> int:
    """Elements in a tensor of ``shape``."""
    return math.prod(shape)


def words_of(tensor: Tensor) -> Words:
    """The elements in row-major order, bit by bit; a view of the memory where it lies so."""
    flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().view(f"<u{flat.element_size()}")


def tensor_of(words: Words, dtype: str, shape: tuple[int, ...]) -> Tensor:
    """The tensor whose elements are ``words``; it shares their memory."""
    return torch.from_numpy(words.view(np.uint8)).view(DTYPES[dtype]).reshape(shape)

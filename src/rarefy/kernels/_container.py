"""The packed container: the numbered sections of one chain in one tensor of bytes.

Version 1, little endian: magic ``RFPK``, uint32 version, uint32 number of sections, uint32 zero,
uint64 bytes of the whole, zeros up to 64; then a table with 32 bytes a section: its kind (ASCII,
padded with zeros to 16), uint64 offset, uint64 bytes. Sections follow in their order, each at the
next multiple of 64, zeros between; the whole ends at a multiple of 64.
"""

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from rarefy.errors import FileError, PatternError
from rarefy.kernels._quantized import dequantized, read_quantized
from rarefy.kernels._tiles import pack_tiles, tiles_shape, unpack_tiles

_HEAD = struct.Struct("<4sIIIQ40x")
_ROW = struct.Struct("<16sQQ")
_MAGIC = b"RFPK"
_VERSION = 1
_KIND = re.compile(rb"[a-z0-9_]{1,15}\0{1,15}")


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """One parameter of a chain: its kind (``tiles``, ``floats``, ...) and bytes (uint8, CPU)."""

    kind: str
    data: Tensor

    def __post_init__(self) -> None:
        if not _KIND.fullmatch(self.kind.encode().ljust(16, b"\0")):
            raise PatternError(
                f"'{self.kind[:40]}' is no kind of section: 1 to 15 of a-z, 0-9 and _."
            )
        if self.data.dtype is not torch.uint8 or self.data.dim() != 1 or not self.data.is_cpu:
            raise PatternError(
                f"a section is uint8 on the CPU with one side; found {self.data.dtype} of shape "
                f"{tuple(self.data.shape)} on {self.data.device}."
            )


def pack(weight: Tensor, mask: Tensor | None = None) -> Section:
    """A sparse weight as a section of kind ``tiles``.

    Args:
        weight: float32, out first, two sides or more; the rest are flattened as torch stores them.
        mask: bool, shaped like the weight: its true places are stored, zeros among them too, and
            nothing else is. Without it the nonzeros are stored, NaN among them.

    Raises:
        PatternError: Another dtype or number of sides, or a mask of another shape.
    """
    return Section("tiles", pack_tiles(weight, mask))


def floats(values: Tensor) -> Section:
    """The values in row-major order as a section of kind ``floats``; a bias, scales and shifts.

    Raises:
        PatternError: They are not float32.
    """
    if values.dtype is not torch.float32:
        raise PatternError(
            f"floats are float32; found {values.dtype}. Pass values.float() if rounding is fine."
        )
    return Section("floats", values.detach().cpu().clone().reshape(-1).view(torch.uint8))


def unpack(section: Section) -> Tensor:
    """The float32 values: rows x columns of ``tiles``, one side of ``floats``.

    A weight in low precision (``quantized``) comes back as what its numbers stand for.

    Raises:
        FileError: The bytes are not those of such a section, or the kind is unknown.
    """
    if section.kind == "tiles":
        return unpack_tiles(section.data)
    if section.kind == "quantized":
        return dequantized(section.data)
    if section.kind == "floats":
        _check_floats(section)
        return section.data.clone().view(torch.float32)
    raise FileError(
        f"a packed chain has a section of kind '{section.kind}', which this release does not know."
    )


def join(sections: Iterable[Section]) -> Tensor:
    """The container of these sections, in their order; one list makes one run of bytes.

    Returns:
        uint8 on the CPU. Never an inference tensor, so that changes to it are seen.
    """
    chosen = list(sections)
    offsets, size = _places([len(section.data) for section in chosen])
    head = bytearray(_HEAD.pack(_MAGIC, _VERSION, len(chosen), 0, size))
    for section, offset in zip(chosen, offsets, strict=True):
        head += _ROW.pack(section.kind.encode(), offset, len(section.data))
    with torch.inference_mode(False):
        packed = torch.zeros(size, dtype=torch.uint8, device="cpu")
    packed[: len(head)] = torch.frombuffer(head, dtype=torch.uint8)
    for section, offset in zip(chosen, offsets, strict=True):
        packed[offset : offset + len(section.data)] = section.data
    return packed


def read(packed: Tensor) -> tuple[Section, ...]:
    """The sections of a container, views of it, every length and index in them checked.

    Raises:
        FileError: The bytes are no container, or a section is damaged.
    """
    sections = framed(packed)
    for section in sections:
        if section.kind == "tiles":
            tiles_shape(section.data)
        elif section.kind == "quantized":
            read_quantized(section.data)
        elif section.kind == "floats":
            _check_floats(section)
    return sections


def _check_floats(section: Section) -> None:
    """Nothing, if the bytes are a whole number of floats.

    Raises:
        FileError: They are not.
    """
    if len(section.data) % 4:
        raise FileError(f"a section of floats has {len(section.data)} bytes; it is damaged.")


def framed(packed: Tensor) -> tuple[Section, ...]:
    """The sections of a container; its frame is checked, what is in them is not.

    Raises:
        FileError: The bytes are no container.
    """
    check_bytes(packed)
    data = packed.detach().contiguous()
    raw = memoryview(data.numpy().data)
    count = _count(raw)
    table = [_ROW.unpack_from(raw, _HEAD.size + _ROW.size * i) for i in range(count)]
    offsets, size = _places([length for _, _, length in table])
    if size != len(raw) or offsets != [offset for _, offset, _ in table]:
        raise _damaged("its sections do not lie one after another")
    ends = [_HEAD.size + _ROW.size * count, *(o + n for _, o, n in table)]
    for end, begin in zip(ends, [*offsets, size], strict=True):
        if any(raw[end:begin]):
            raise _damaged("what lies between its sections is not zero")
    for kind, _, _ in table:
        if not _KIND.fullmatch(kind):
            raise _damaged("a section has no valid kind")
    return tuple(
        Section(kind.rstrip(b"\0").decode(), data[offset : offset + length])
        for kind, offset, length in table
    )


def check_bytes(packed: Tensor) -> None:
    """Nothing, if the tensor could be a container.

    Raises:
        FileError: It is not uint8 on the CPU with one side.
    """
    if packed.dtype is not torch.uint8 or packed.dim() != 1 or not packed.is_cpu:
        raise FileError(
            f"a packed chain is uint8 on the CPU with one side; found {packed.dtype} of shape "
            f"{tuple(packed.shape)} on {packed.device}. Accelerate the model again."
        )


def _count(raw: memoryview) -> int:
    """Sections of a container whose header is sound."""
    if len(raw) < _HEAD.size:
        raise _damaged("it ends before its header does")
    magic, version, count, zero, size = _HEAD.unpack_from(raw)
    if magic != _MAGIC or zero or any(raw[_HEAD.size - 40 : _HEAD.size]):
        raise _damaged("it does not begin as one")
    if version != _VERSION:
        raise FileError(
            f"a packed chain has version {version}; this release reads {_VERSION}. Accelerate the "
            "model again."
        )
    if size != len(raw) or count > (len(raw) - _HEAD.size) // _ROW.size:
        raise _damaged(f"its header tells {count} sections in {size} bytes of {len(raw)}")
    return int(count)


def _places(lengths: list[int]) -> tuple[list[int], int]:
    """Where sections of these lengths begin, and where the last one ends."""
    offsets = []
    at = _to_64(_HEAD.size + _ROW.size * len(lengths))
    for length in lengths:
        offsets.append(at)
        at += _to_64(length)
    return offsets, at


def _to_64(size: int) -> int:
    return -(-size // 64) * 64


def _damaged(why: str) -> FileError:
    return FileError(f"a packed chain is damaged: {why}. Accelerate the model again.")

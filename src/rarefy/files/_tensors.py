"""One tensor to and from what a file holds: dense values, or a packed mask and the kept values."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rarefy.errors import FileError, InvariantError
from rarefy.files._dtypes import Words, itemsize, name_of, tensor_of, words_of
from rarefy.files._header import MASK, VALUES, Record, digest
from rarefy.files._json import brief
from rarefy.formats import (
    Bitmask,
    Delta,
    Dense,
    Format,
    held_as,
    pack_bits,
    pack_gaps,
    unpack_bits,
    unpack_gaps,
)


def _no_mask() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Source:
    """A tensor that is to be stored; made when it is needed, so that few exist at once."""

    tensor: Callable[[], Tensor]
    mask: Callable[[], Tensor | None] = _no_mask
    """Shaped like the tensor, True where kept; None where the tensor is not sparsified."""
    aliases: tuple[str, ...] = ()


@torch.no_grad()
def describe(key: str, source: Source) -> Record:
    """How the tensor called ``key`` will be stored: the smallest way that loses nothing.

    The sign of a zero that a mask removes is not a value: sparse storage gives ``0.0`` back.

    Raises:
        FileError: Its dtype has no place in safetensors.
        InvariantError: A removed weight is not zero.
    """
    tensor, mask = source.tensor(), source.mask()
    dtype, nonzero = name_of(tensor.dtype, key), (tensor != 0).cpu()
    if mask is not None:
        mask = mask.cpu()
        _refuse_alive(key, nonzero, mask)
    bits = _bits(tensor, mask)
    form, kind = _way(nonzero, mask, bits, itemsize(dtype))
    dense = words_of(tensor)
    width, gaps = 1, 0
    if form.family != "dense" and bits is not None:
        dense = np.where(bits.reshape(-1).numpy(), dense, np.zeros(1, dense.dtype))
    if isinstance(form, Delta) and form.width is not None and bits is not None:
        width, gaps = form.width, len(pack_gaps(bits, form.width))
    counted = bits is not None and (form.family != "dense" or kind == "nonzero")
    return Record(
        format=form.family,
        mask=kind,
        dtype=dtype,
        shape=tuple(tensor.shape),
        kept=int(bits.sum()) if bits is not None and counted else tensor.numel(),
        nonzero=int(nonzero.sum()),
        checksum=_checksum(dtype, tuple(tensor.shape), dense, mask),
        aliases=source.aliases,
        width=width,
        gaps=gaps,
    )


@torch.no_grad()
def encode(stored: str, record: Record, source: Source) -> Words:
    """The bytes of the stored tensor called ``stored``, one of ``record.layout``."""
    tensor = source.tensor()
    if record.format == "dense":
        return words_of(tensor)
    bits = _bits(tensor, source.mask())
    if bits is None:
        raise InvariantError(f"{stored}: the tensor changed while it was saved. Save it again.")
    if stored.endswith(MASK):
        return _packed(stored, bits, record)
    words: Words = words_of(tensor)[bits.reshape(-1).numpy()]
    if len(words) != record.kept:
        raise InvariantError(f"{stored}: the tensor changed while it was saved. Save it again.")
    return words


def restore(
    stored: Callable[[str], Tensor], key: str, record: Record
) -> tuple[Tensor, Tensor | None]:
    """The tensor called ``key``, dense, and its mask where it has one; both on the CPU.

    Args:
        stored: Reads a stored tensor by its name; dtypes and shapes are known to be the record's.
        key: Name of the tensor.
        record: What it is.

    Raises:
        FileError: What is stored is not what the record says.
    """
    if record.format == "dense":
        tensor = stored(key)
        mask = _implied(tensor, record.mask)
    else:
        mask = _unpacked(key, stored(key + MASK), record)
        words = np.zeros(record.size, f"<u{itemsize(record.dtype)}")
        words[mask.reshape(-1).numpy()] = words_of(stored(key + VALUES))
        tensor = tensor_of(words, record.dtype, record.shape)
    _refuse_odd_bools(key, tensor)
    mask = None if record.mask == "none" else mask
    if record.checksum is not None:
        _verify(key, record, tensor, mask)
    return tensor, mask


def counts_match(record: Record, tensor: Tensor, mask: Tensor | None) -> bool:
    """Whether kept and nonzero are what the record says."""
    kept = record.kept if mask is None else int(mask.sum())
    return kept == record.kept and int((tensor != 0).sum()) == record.nonzero


def _way(
    nonzero: Tensor, mask: Tensor | None, bits: Tensor | None, width: int
) -> tuple[Format, str]:
    """Format, and where the mask is to be found."""
    if bits is None:
        return Dense(), "none"
    form = held_as(bits, width)[0]
    if mask is None:
        return form, "none"
    if form.family != "dense":
        return form, "bits"
    implied = "nonzero" if torch.equal(nonzero, mask) else "all" if mask.all() else "bits"
    # Dense values and a mask beside them would never be smaller than bits and values.
    return (Bitmask(), "bits") if implied == "bits" else (form, implied)


def _bits(tensor: Tensor, mask: Tensor | None) -> Tensor | None:
    """Where a value would be stored; None where only dense storage is considered."""
    if mask is not None:
        return mask.cpu()
    if tensor.dim() < 2 or not tensor.is_floating_point():
        return None
    # Not a mask: any bit pattern but that of +0.0 is stored, so nothing at all is lost.
    return torch.from_numpy(words_of(tensor) != 0).reshape(tensor.shape)


def _implied(tensor: Tensor, kind: str) -> Tensor | None:
    if kind == "none":
        return None
    return tensor != 0 if kind == "nonzero" else torch.ones(tensor.shape, dtype=torch.bool)


def _packed(stored: str, bits: Tensor, record: Record) -> Words:
    if record.format == "bitmask":
        return words_of(pack_bits(bits))
    gaps = words_of(pack_gaps(bits, record.width))
    if len(gaps) != record.gaps:
        raise InvariantError(f"{stored}: the tensor changed while it was saved. Save it again.")
    return gaps


def _unpacked(key: str, bits: Tensor, record: Record) -> Tensor:
    try:
        mask = (
            unpack_bits(bits, record.shape)
            if record.format == "bitmask"
            else unpack_gaps(bits, record.shape, record.width)
        )
    except FileError as error:
        raise FileError(f"{brief(key)}: {error}") from None
    if (ones := int(mask.sum())) != record.kept:
        raise FileError(
            f"{brief(key)}: its mask keeps {ones}, but {record.kept} values are stored. "
            "It is damaged."
        )
    return mask


def _verify(key: str, record: Record, tensor: Tensor, mask: Tensor | None) -> None:
    found = _checksum(record.dtype, record.shape, words_of(tensor), mask)
    if found != record.checksum:
        raise FileError(f"the checksum of {brief(key)} is wrong. The file is damaged.")
    if not counts_match(record, tensor, mask):
        raise FileError(f"{brief(key)} has not the counts its record says. The file is damaged.")


def _checksum(dtype: str, shape: tuple[int, ...], dense: Words, mask: Tensor | None) -> str:
    # With dtype and shape, or the same bytes could be read as another tensor.
    text = ",".join([dtype, *map(str, shape)]).encode()
    return digest(text, dense, *([] if mask is None else [words_of(pack_bits(mask))]))


def _refuse_alive(key: str, nonzero: Tensor, mask: Tensor) -> None:
    if nonzero.shape != mask.shape or mask.dtype != torch.bool:
        raise InvariantError(
            f"{key} has shape {tuple(nonzero.shape)}; its mask is {mask.dtype} of shape "
            f"{tuple(mask.shape)}."
        )
    alive = int((nonzero & ~mask.cpu()).sum())
    if alive:
        raise InvariantError(
            f"{key}: {alive} removed weights are not zero, so the file would lose them. "
            "sparsifier.check() says what undid the zeros; sparsifier.detach() gives the mask up."
        )


def _refuse_odd_bools(key: str, tensor: Tensor) -> None:
    if tensor.dtype == torch.bool and tensor.numel() and int(tensor.view(torch.uint8).max()) > 1:
        raise FileError(f"{brief(key)} is bool and has bytes other than 0 and 1. It is damaged.")

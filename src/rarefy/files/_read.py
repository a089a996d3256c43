"""Reading a file: what it says it holds, and its tensors one at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from rarefy.files._container import Layout, Stamp, reading
from rarefy.files._dtypes import itemsize, size_of
from rarefy.files._header import Header, Record, read_header
from rarefy.files._tensors import restore


@dataclass(frozen=True, slots=True)
class Contents:
    """What a safetensors file holds. Tensors and masks are read when they are asked for."""

    path: Path
    version: int | None
    """Of the format; None where the file is an ordinary safetensors file."""
    method: str | None
    """Name of the method that made the masks, where the file says."""
    records: Mapping[str, Record]
    """Name to what is known of each tensor without reading it; each tied tensor once."""
    tensors: Mapping[str, Tensor]
    """Name to dense tensor on the CPU, read and checked anew each time."""
    masks: Mapping[str, Tensor]
    """Name of a sparsified weight to its bool mask, read and checked anew each time."""
    bytes: Mapping[str, int]
    """Name to bytes taken in the file, values and mask bits."""
    size: int
    """Bytes of the whole file."""
    metadata: Mapping[str, str]
    """Text by name, as it stands in the header."""
    choices: Mapping[str, Any] | None = None
    """How an accelerated model ran, as :func:`rarefy.load` uses it; None where none was saved."""


def read(path: str | Path) -> Contents:
    """What the file at ``path`` holds; its header is checked now, each tensor when it is read.

    Args:
        path: A file written by :func:`rarefy.save`, or any safetensors file.

    Raises:
        FileError: It cannot be read, or is damaged. So may reading a tensor from the result.
    """
    with reading(Path(path)) as container:
        header = header_of(container.metadata, container.layout())
    records = header.records
    sizes = {key: _bytes(record.layout(key)) for key, record in records.items()}
    stored = _Stored(Path(path), records, container.stamp)
    masked = {key: record for key, record in records.items() if record.mask != "none"}
    return Contents(
        path=Path(path),
        version=header.version,
        method=header.method,
        records=records,
        tensors=_Tensors(stored, records),
        masks=_Masks(stored, masked),
        bytes=sizes,
        size=container.size,
        metadata=container.metadata,
        choices=header.choices,
    )


def read_masks(path: str | Path) -> dict[str, Tensor]:
    """The masks in the file at ``path``, by parameter name, for ``rarefy.hold(masks=...)``.

    Empty where the file is an ordinary safetensors file.

    Raises:
        FileError: The file cannot be read, or is damaged.
    """
    return dict(read(path).masks)


def header_of(metadata: Mapping[str, str], layout: Layout) -> Header:
    """What a file says it holds, ours or any other.

    Raises:
        FileError: It is ours, but damaged or of another version.
    """
    found = read_header(metadata, layout)
    return found if found is not None else Header(None, None, _plain(layout))


def _bytes(layout: Layout) -> int:
    return sum(size_of(shape) * itemsize(dtype) for dtype, shape in layout.values())


@dataclass(frozen=True, slots=True)
class _Stored:
    path: Path
    records: Mapping[str, Record]
    stamp: Stamp

    def read(self, key: str) -> tuple[Tensor, Tensor | None]:
        record = self.records[key]
        with reading(self.path, self.stamp) as container:
            return restore(container.tensor, key, record)


class _Part(Mapping[str, Tensor]):
    """Some of the tensors or masks of a file, by name."""

    def __init__(self, stored: _Stored, records: Mapping[str, Record]) -> None:
        self._stored = stored
        self._records = records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, name: object) -> bool:
        return name in self._records

    def __repr__(self) -> str:
        return f"{type(self).__name__.strip('_')}({', '.join(self)})"


class _Tensors(_Part):
    def __getitem__(self, name: str) -> Tensor:
        return self._stored.read(name)[0]


class _Masks(_Part):
    def __getitem__(self, name: str) -> Tensor:
        self._records[name]
        mask = self._stored.read(name)[1]
        if mask is None:
            raise KeyError(name)
        return mask


def _plain(layout: Layout) -> dict[str, Record]:
    return {
        key: Record(
            format="dense",
            mask="none",
            dtype=dtype,
            shape=shape,
            kept=size_of(shape),
            nonzero=None,
            checksum=None,
        )
        for key, (dtype, shape) in layout.items()
    }

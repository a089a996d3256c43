"""The safetensors library as this room uses it: its refusals told as ours, two gaps closed."""

import contextlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError, TensorSpec, safe_open, serialize_file
from torch import Tensor

from rarefy.errors import FileError
from rarefy.files._dtypes import DTYPES, Words
from rarefy.files._json import MOST_BYTES, brief, is_shape, parsed

Layout = dict[str, tuple[str, tuple[int, ...]]]
"""Name of a stored tensor to its dtype and shape."""

Stamp = tuple[int, ...]
"""What changes when a file is replaced or written anew."""

_LENGTH = struct.Struct("<Q")
_REFUSALS = (SafetensorError, RuntimeError, TypeError, ValueError, OverflowError, MemoryError)
"""What the library, and torch under it, raise."""


class Container:
    """A safetensors file while it is open."""

    def __init__(self, handle: Any, stamp: Stamp, size: int) -> None:  # noqa: ANN401 - untyped
        self._handle = handle
        self.stamp = stamp
        self.size = size
        """Bytes of the whole file."""
        self.metadata: Mapping[str, str] = handle.metadata() or {}

    def layout(self) -> Layout:
        """What is stored, in the order in which it lies in the file.

        Raises:
            FileError: Something of a dtype or shape that no tensor of ours has.
        """
        return {key: self._kind(key) for key in self._handle.offset_keys()}

    def tensor(self, key: str) -> Tensor:
        """One stored tensor, read into memory of its own.

        Raises:
            FileError: It could not be read.
        """
        try:
            found: Tensor = self._handle.get_tensor(key)
        except _REFUSALS as error:
            raise FileError(
                f"{brief(key)} could not be read: {brief(error)}. The file became shorter while it "
                "was read, or there is not enough memory."
            ) from error
        return found

    def _kind(self, key: str) -> tuple[str, tuple[int, ...]]:
        part = self._handle.get_slice(key)
        dtype, shape = part.get_dtype(), part.get_shape()
        if dtype not in DTYPES:
            raise FileError(
                f"{brief(key)} has dtype {brief(dtype)}; known are {', '.join(DTYPES)}."
            )
        # The library does not multiply the sides of an empty tensor; torch does.
        if not is_shape(shape):
            raise FileError(f"{brief(key)} has shape {brief(shape)}, which no tensor has.")
        return dtype, tuple(shape)


@contextlib.contextmanager
def reading(path: Path, seen: Stamp | None = None) -> Iterator[Container]:
    """The open file, found sound; errors inside the block are told with the path.

    Args:
        path: The file.
        seen: The stamp of the file as it was opened before; what was checked then is not again.

    Raises:
        FileError: It cannot be read, is no sound safetensors file, or is another than before.
    """
    try:
        # Opening a pipe would wait for someone to write into it.
        if path.exists() and not path.is_file():
            raise FileError("it is no file. Give the path of one .safetensors file.")
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            stamp = _stamp(status)
            if seen not in (None, stamp):
                raise FileError("it was replaced since its header was read. Read it again.")
            with _opened(path) as handle:
                if _stamp(path.stat()) != stamp:
                    raise FileError("it was replaced while it was opened. Read it again.")
                if seen is None:
                    # The library takes the last of two entries of one name; others the first.
                    parsed(_header(file), "its header")
                yield Container(handle, stamp, status.st_size)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


def write_container(
    path: Path, layout: Layout, parts: Mapping[str, Words], metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file; the same parts and texts give the same bytes.

    Nothing is copied: all parts must be there, and are written from where they lie.

    Args:
        path: Where; not safe against what happens meanwhile.
        layout: Name to dtype and shape.
        parts: Name to elements.
        metadata: Text by name.

    Raises:
        OSError: It could not be written.
        FileError: The header would be longer than is read.
    """
    specs = {
        key: TensorSpec(
            dtype=str(DTYPES[dtype]).removeprefix("torch."),
            shape=shape,
            data_ptr=parts[key].ctypes.data,
            data_len=parts[key].nbytes,
        )
        for key, (dtype, shape) in layout.items()
    }
    try:
        serialize_file(specs, path, dict(metadata))
    except (SafetensorError, UnicodeEncodeError) as error:
        # What the operating system said is in the library's text, and only there.
        raise OSError(str(error)) from error
    with path.open("r+b") as file:
        _sort_texts(file)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # Read, not mapped into memory: a mapped file that someone cuts short ends the process, and
    # on Windows it could not be replaced while one of its tensors is in use.
    try:
        handle = safe_open(path, framework="pt", backend="pread")
    except _REFUSALS as error:
        why = brief(str(error).removeprefix("Error while deserializing header: "))
        raise FileError(f"{why}. It is truncated, damaged, or no safetensors file.") from error
    with handle:
        yield handle


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _header(file: BinaryIO) -> bytes:
    """The header's text; ``file`` is one that the library has read or written."""
    file.seek(0)
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    if length > MOST_BYTES:
        raise FileError(
            f"its header has {length} bytes; at most {MOST_BYTES} are read. Save the model in "
            "parts."
        )
    return file.read(length)


def _sort_texts(file: BinaryIO) -> None:
    # The library writes the texts in an order that differs from one file to the next
    # (https://github.com/huggingface/safetensors/issues/584).
    text = _header(file)
    header = json.loads(text)
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    fresh = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if len(fresh) <= len(text):  # always, as long as both escape the same letters
        file.seek(_LENGTH.size)
        file.write(fresh.ljust(len(text)))

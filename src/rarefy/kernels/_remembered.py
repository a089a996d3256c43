"""What was derived from packed bytes, remembered for as long as these bytes live unchanged."""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class _Entry(Generic[T]):
    """What is remembered of one run of bytes, by name."""

    __slots__ = ("alive", "size", "values", "version")

    def __init__(self, packed: Tensor, alive: "weakref.ref[torch.UntypedStorage]") -> None:
        self.alive = alive
        """Gives None once the memory is gone."""
        self.size = packed.numel()
        self.version = _version(packed)
        self.values: dict[str, T] = {}

    def holds(self, packed: Tensor) -> bool:
        """Whether these are the bytes that lay at their address when the entry was made."""
        return (
            self.alive() is not None
            and self.size == packed.numel()
            and self.version == _version(packed)
        )


class Remembered(Generic[T]):
    """Values made from packed tensors; they leave with the memory that they were made from.

    Tensors that share memory share what is remembered. A tensor that was written to is seen by its
    version; an inference tensor does not count its versions and must not be written to. A value is
    made once, and other threads that want it wait. Instances live for ever: keep them in a module.
    """

    def __init__(self, make: Callable[[Tensor, str], T]) -> None:
        """Remember what ``make(packed, name)`` gives; it must not keep ``packed``."""
        self._make = make
        self._entries: dict[int, _Entry[T]] = {}
        self._latest: dict[int, tuple[weakref.ref[Tensor], int, int, int, str, T]] = {}
        """By identity of a tensor: itself, its address, size and version, and its last value."""
        self._renew()
        if hasattr(os, "register_at_fork"):  # Windows has no fork
            os.register_at_fork(after_in_child=self._renew)

    def get(self, packed: Tensor, name: str) -> T:
        """The value called ``name`` of these bytes."""
        # The same tensor as before is the common case, and is known sooner than its memory is;
        # names are compared sooner than a long one is hashed.
        latest = self._latest.get(id(packed))
        if latest is not None:
            tensor, address, size, version, known, value = latest
            if (
                tensor() is packed
                and address == packed.data_ptr()
                and size == packed.numel()
                and version == packed._version
                and known == name
            ):
                return value
        return self._found(packed, name)

    def __len__(self) -> int:
        return len(self._entries)

    def _found(self, packed: Tensor, name: str) -> T:
        if not packed.is_contiguous():  # such a view has no address of its own
            return self._make(packed, name)
        with self._lock:
            entry = self._entries.get(packed.data_ptr())
            if entry is None or not entry.holds(packed):
                entry = self._new_entry(packed)
            if name not in entry.values:
                entry.values[name] = self._make(packed, name)
            value = entry.values[name]
        if not packed.is_inference():
            self._note(packed, name, value)
        return value

    def _note(self, packed: Tensor, name: str, value: T) -> None:
        number, latest = id(packed), self._latest

        def leave(gone: "weakref.ref[Tensor]") -> None:
            # Another tensor may have got this identity since.
            if number in latest and latest[number][0] is gone:
                latest.pop(number, None)

        tensor = weakref.ref(packed, leave)
        size, version = packed.numel(), packed._version
        latest[number] = (tensor, packed.data_ptr(), size, version, name, value)

    def _new_entry(self, packed: Tensor) -> _Entry[T]:
        address, entries = packed.data_ptr(), self._entries

        def leave(gone: "weakref.ref[torch.UntypedStorage]") -> None:
            # Other bytes may have moved in at this address since.
            if address in entries and entries[address].alive is gone:
                entries.pop(address, None)

        # The Python object of a storage lives as long as the memory does.
        entry: _Entry[T] = _Entry(packed, weakref.ref(packed.untyped_storage(), leave))
        entries[address] = entry
        return entry

    def _renew(self) -> None:
        # In a forked child nobody would release what another thread of the parent holds.
        self._lock = threading.RLock()


def _version(packed: Tensor) -> int:
    return -1 if packed.is_inference() else packed._version

"""The tensors of several files as those of one model, read when they are needed."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rarefy.errors import FileError
from rarefy.files._dtypes import tensor_of, words_of
from rarefy.files._header import Record
from rarefy.files._json import brief
from rarefy.files._read import Contents
from rarefy.files._tensors import Source
from rarefy.formats import unpack_bits
from rarefy.targets import Target


class Joined:
    """Several files that make one model.

    Raises:
        FileError: Two of them hold a tensor of the same name.
    """

    def __init__(self, files: Mapping[Path, Contents]) -> None:
        self.files = files
        self.records: dict[str, Record] = {}
        self._holder: dict[str, Contents] = {}
        for path, contents in files.items():
            twice = sorted(set(contents.records) & set(self.records))
            if twice:
                raise FileError(
                    f"{path} and another file of the folder both hold {brief(twice[0])}: they are "
                    "not one model. Prune them one by one."
                )
            self.records |= contents.records
            self._holder |= dict.fromkeys(contents.records, contents)
        self.masked = {key for key, record in self.records.items() if record.mask != "none"}

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(contents.size for contents in self.files.values())

    def tensor(self, key: str) -> Tensor:
        """One tensor, dense."""
        return self._holder[key].tensors[key]

    def mask(self, key: str) -> Tensor:
        """The mask that a file has for it; without one, all is kept."""
        if key in self.masked:
            return self._holder[key].masks[key]
        return torch.ones(self.records[key].shape, dtype=torch.bool)

    def source(self, key: str, masks: Mapping[str, Tensor]) -> Source:
        """One tensor as it is to be stored, with a mask where ``masks`` has packed bits for it."""
        record = self.records[key]
        if key not in masks:
            mask = (lambda: self.mask(key)) if key in self.masked else (lambda: None)
            return Source(lambda: self.tensor(key), mask, record.aliases)

        def kept() -> Tensor:
            return unpack_bits(masks[key], record.shape)

        def tensor() -> Tensor:
            words = words_of(self.tensor(key))
            words = np.where(kept().reshape(-1).numpy(), words, np.zeros(1, words.dtype))
            return tensor_of(words, record.dtype, record.shape)

        return Source(tensor, kept, record.aliases)


class Matrices(Mapping[str, Tensor]):
    """Tensors of a file in the matrix view, each made anew when it is asked for."""

    def __init__(self, make: Callable[[str], Tensor], targets: Mapping[str, Target]) -> None:
        self._make = make
        self._targets = targets

    def __getitem__(self, name: str) -> Tensor:
        return self._targets[name].matrix(self._make(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

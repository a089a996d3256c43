"""Finds the idx files of Fashion-MNIST, verifies and reads them."""

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rarefy.errors import FileError, MissingExtra

VARIABLE = "RAREFY_DATA"
"""Environment variable that names a folder of data sets in torchvision's layout."""
PACKAGED = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package puts the files."""
_LAYOUT = Path("FashionMNIST") / "raw"


@dataclass(frozen=True, slots=True)
class _Known:
    shape: tuple[int, ...]
    md5: str

    @property
    def header(self) -> int:
        return 4 + 4 * len(self.shape)


FILES = {
    "train-images-idx3-ubyte": _Known((60_000, 28, 28), "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
    "train-labels-idx1-ubyte": _Known((60_000,), "9018921c3c673c538a1fc5bad174d6f9"),
    "t10k-images-idx3-ubyte": _Known((10_000, 28, 28), "8181f5470baa50b63fa0f6fddb340f0a"),
    "t10k-labels-idx1-ubyte": _Known((10_000,), "15d484375f8d13e6eb1aabb0c3f46965"),
}
"""The four files: shape, and MD5 of the unpacked file as it was published."""


def folder_of(path: str | Path | None, *, download: bool) -> Path:
    """The folder that holds the four files. See :func:`rarefy.lab.tasks.fashion`.

    Raises:
        FileError: They are nowhere, or could not be fetched.
        MissingExtra: They would have to be fetched, and torchvision is not installed.
    """
    found = fashion_folder(path)
    if found is not None:
        return found
    if download:
        return _fetched(_root(path))
    looked = ", ".join(str(place) for place in places_of(path))
    raise FileError(
        f"Fashion-MNIST is not here: looked in {looked}. Any of these will do: give the folder "
        "with its four idx files (--data, or fashion(path)); let the environment variable "
        f"{VARIABLE} name a folder with FashionMNIST/raw in it, as torchvision lays it out; "
        "install the Debian package: apt-get install dataset-fashion-mnist; or let torchvision "
        "fetch it (--download, or fashion(download=True), with pip install 'rarefy[data]')."
    )


def fashion_folder(path: str | Path | None = None) -> Path | None:
    """Where the four files of Fashion-MNIST are, unverified; None where they are nowhere.

    Args:
        path: The only place to look at, where it is given.
    """
    return next((place for place in places_of(path) if _complete(place)), None)


def places_of(path: str | Path | None) -> list[Path]:
    """Folders that are looked in, in order: those of ``path`` alone where it is given."""
    if path is not None:
        return [Path(path), Path(path) / _LAYOUT]
    named = os.environ.get(VARIABLE)
    beside = [Path(named) / _LAYOUT] if named else []
    return [*beside, PACKAGED, _root(None) / _LAYOUT]


def read_idx(folder: Path, name: str) -> Tensor:
    """One of the four files as uint8, verified.

    Raises:
        FileError: It cannot be read, or is not the file that was published.
    """
    known = FILES[name]
    content = _content(_file(folder, name), known.header + int(np.prod(known.shape)))
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != known.md5:
        raise FileError(
            f"{_file(folder, name)} is damaged or of another data set: its MD5 checksum is not "
            f"{known.md5}, that of the file Fashion-MNIST was published with. Fetch it again."
        )
    values = np.frombuffer(content, np.uint8, offset=known.header).reshape(known.shape)
    return torch.from_numpy(values.copy())


def _content(path: Path, size: int) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            # One byte more than it should have, so that a longer file is told from the right one.
            return bytes(file.read(size + 1))
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path} cannot be read ({error}). Fetch it again.") from error


def _file(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def _complete(folder: Path) -> bool:
    return all(_file(folder, name).is_file() for name in FILES)


def _root(path: str | Path | None) -> Path:
    if path is not None:
        return Path(path)
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "rarefy"


def _fetched(root: Path) -> Path:
    try:
        from torchvision.datasets import FashionMNIST
    except ImportError as error:
        raise MissingExtra(
            "torchvision fetches Fashion-MNIST, and is not installed: pip install 'rarefy[data]'"
        ) from error
    except RuntimeError as error:  # a torchvision that was built for another torch
        raise MissingExtra(
            f"torchvision fetches Fashion-MNIST, and cannot be loaded ({error}): install the "
            "version that goes with this torch, from the same place"
        ) from error
    try:
        FashionMNIST(str(root), train=True, download=True)
    except (OSError, RuntimeError) as error:
        raise FileError(
            f"torchvision could not fetch Fashion-MNIST into {root} ({error}). Without a network: "
            "apt-get install dataset-fashion-mnist, or give a folder that has it."
        ) from error
    return root / _LAYOUT

"""Fashion-MNIST: 70,000 pictures of clothes, 28 x 28 pixels, and LeNet-300-100."""

import functools
from pathlib import Path

import torch
from torch import Tensor

from rarefy.lab.tasks._data import Data
from rarefy.lab.tasks._idx import folder_of, read_idx
from rarefy.lab.tasks._task import Task

_MEAN, _DEVIATION = 0.2860, 0.3530


def fashion(path: str | Path | None = None, *, download: bool = False) -> Task:
    """Tell ten kinds of clothes apart; 60,000 pictures to train on, 10,000 that judge.

    Xiao, Rasul and Vollgraf, "Fashion-MNIST", 2017. The data are looked for in this order:
    ``path``; the folder that the environment variable ``RAREFY_DATA`` names, laid out as
    torchvision does (``FashionMNIST/raw``); the Debian package ``dataset-fashion-mnist``; and,
    only with ``download=True``, torchvision's loader. Every file is verified before it is used.

    Args:
        path: The folder with the four idx files, packed (.gz) or not, or the one above
            ``FashionMNIST/raw``. Where it is given no other place is looked at.
        download: Fetch the data with torchvision if they are nowhere, into ``path``, else into
            the folder of ``RAREFY_DATA``, else into ``~/.cache/rarefy``.

    Raises:
        FileError: The data are nowhere, or are damaged.
        MissingExtra: ``download=True`` without torchvision.
    """
    return Task(
        name="fashion",
        description="Fashion-MNIST, 28 x 28 pixels; LeNet-300-100, a 784-300-100-10 perceptron",
        data=_data(folder_of(path, download=download).resolve()),
        hidden=(300, 100),
        epochs=8,
        batch=128,
        rate=0.1,
        decay=5e-4,
    )


@functools.lru_cache(maxsize=1)
def _data(folder: Path) -> Data:
    return Data(
        inputs=_scaled(read_idx(folder, "train-images-idx3-ubyte")),
        targets=read_idx(folder, "train-labels-idx1-ubyte").long(),
        test_inputs=_scaled(read_idx(folder, "t10k-images-idx3-ubyte")),
        test_targets=read_idx(folder, "t10k-labels-idx1-ubyte").long(),
        classes=10,
    )


def _scaled(pixels: Tensor) -> Tensor:
    # Mean and deviation of the training pixels, as published. In place: it is 188 MB.
    values = pixels.flatten(1).to(torch.float32)
    return values.div_(255).sub_(_MEAN).div_(_DEVIATION)

"""Handwritten digits that come with scikit-learn: 1,797 pictures of 8 x 8 pixels."""

import functools

import torch

from rarefy.errors import MissingExtra
from rarefy.lab.tasks._data import Data
from rarefy.lab.tasks._task import Task

_TRAINED_ON = 1437


def digits() -> Task:
    """Tell ten handwritten digits apart; the data are in scikit-learn, nothing is downloaded.

    The first 1,437 pictures are trained on, the last 360 judge. Neighbours in this set look
    alike, so a shuffled split would flatter every method by about five points.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    return Task(
        name="digits",
        description="handwritten digits of scikit-learn, 8 x 8 pixels; a 64-300-100-10 perceptron",
        data=_data(),
        hidden=(300, 100),
        epochs=30,
        batch=32,
        rate=0.1,
        decay=5e-4,
    )


@functools.cache
def _data() -> Data:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra(
            "the digits are in scikit-learn, which is not installed: pip install 'rarefy[demo]'"
        ) from error
    found = load_digits()
    inputs = torch.tensor(found.data, dtype=torch.float32)
    targets = torch.tensor(found.target, dtype=torch.int64)
    known = inputs[:_TRAINED_ON]
    inputs = (inputs - known.mean()) / known.std()
    return Data(
        inputs=inputs[:_TRAINED_ON],
        targets=targets[:_TRAINED_ON],
        test_inputs=inputs[_TRAINED_ON:],
        test_targets=targets[_TRAINED_ON:],
        classes=10,
    )

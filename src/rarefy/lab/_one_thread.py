"""Lets torch compute on one thread for a while."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread inside; as many as before afterwards, also after an error.

    The lab's networks gain nothing from a second thread and lose much where the cores are busy;
    and on one they train to the same bits whatever the number of cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

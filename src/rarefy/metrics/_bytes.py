"""Bytes of a model's weights in each storage format."""

from dataclasses import dataclass

from torch import Tensor, nn

from rarefy.formats import bytes_of, smallest
from rarefy.metrics._counts import Counts
from rarefy.targets import stored, unwrap

FORMATS = ("dense", "bitmask", "delta", "csr", "coo")


@dataclass(frozen=True, slots=True)
class WeightSizes:
    """Bytes of one weight in each format, values and indices."""

    dense: int
    bitmask: int
    delta: int
    """To be expected where the kept places are spread evenly at random."""
    csr: int
    coo: int
    smallest: int
    """The least of the formats that a file may hold."""
    format: str
    """Which format that is."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of every target, and of the rest of the model, which is stored dense."""

    weights: dict[str, WeightSizes]
    """Parameter name to its bytes."""
    rest: int
    """Bytes of everything else: biases, norms, weights left out, buffers."""

    def total(self, form: str) -> int:
        """Bytes of the model with every target in ``form``: a format, or ``"smallest"``."""
        return self.rest + sum(int(getattr(one, form)) for one in self.weights.values())


def sizes(counts: Counts, rest: nn.Module | int = 0) -> Sizes:
    """Bytes of the targets in ``counts`` by format, by formula; what is stored are kept values.

    Args:
        counts: As made by :func:`counts_of` or :func:`counts`.
        rest: The model, of which everything that is no target is added dense, as a file would
            hold it (tied tensors once); or the bytes themselves.
    """
    weights: dict[str, WeightSizes] = {}
    for count in counts.targets:
        every = {f: bytes_of(f, count.shape, count.kept, count.itemsize) for f in FORMATS}
        form, least = smallest(count.shape, count.kept, count.itemsize)
        weights[count.name] = WeightSizes(**every, smallest=least, format=form)
    return Sizes(weights, rest if isinstance(rest, int) else _others(rest, counts))


def _others(model: nn.Module, counts: Counts) -> int:
    targets = {alias for count in counts.targets for alias in count.aliases}
    # What a compressed weight is stored as in memory; a file holds it under its ordinary name.
    targets |= {f"{name}_{part}" for name in stored(model) for part in ("values", "topology")}
    state = unwrap(model).state_dict(keep_vars=True)
    once = {id(v): v for k, v in state.items() if isinstance(v, Tensor) and k not in targets}
    return sum(tensor.numel() * tensor.element_size() for tensor in once.values())

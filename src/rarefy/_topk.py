"""Keep the largest scores: the only ranking in the library, exact to the unit and streaming.

Scores become integers of the same order (their *keys*), and the threshold is found by counting
keys, sixteen bits at a time from the top. Nothing is sorted, ties cost nothing, and only a chunk
of the scores is worked on at once.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor

from rarefy import _keys
from rarefy.errors import BudgetError, ScoreError

_CHUNK = 1 << 20
"""Scores worked on at once: enough to be fast, too few to be felt in memory."""


@torch.no_grad()
def keep_largest(scores: Tensor, count: int, *, name: str = "scores") -> Tensor:
    """Mask of exactly ``count`` scores, the largest; among equals the lower flat index is kept.

    ``-0.0`` equals ``0.0``; infinities rank as numbers do. Extra memory is the mask and a chunk.

    Args:
        scores: Any shape, device, strides and real dtype.
        count: How many to keep, 0 to ``scores.numel()``.
        name: What to call the scores in an error.

    Returns:
        Bool tensor of the shape and on the device of ``scores``; True is kept.

    Raises:
        ScoreError: A score is NaN, or the dtype has no order.
        BudgetError: There are not ``count`` scores.

    >>> keep_largest(torch.tensor([1.0, 3.0, 2.0, 3.0]), 2)
    tensor([False,  True, False,  True])
    >>> keep_largest(torch.ones(2, 2), 3)
    tensor([[ True,  True],
            [ True, False]])
    """
    flat = scores.detach().reshape(-1)
    search = _Search(lambda: [(name, flat)], _keys.comparable, _keys.bits_of(flat.dtype), count)
    while search.shift:
        search.narrow()
    mask = torch.empty(flat.numel(), dtype=torch.bool, device=flat.device)
    ties = search.rest
    for chunk, kept in zip(flat.split(_CHUNK), mask.split(_CHUNK), strict=True):
        ties -= _keys.mark(_keys.comparable(chunk, name), search.prefix, ties, kept)
    return mask.view(scores.shape)


@torch.no_grad()
def count_largest(scores: Mapping[str, Callable[[], Tensor]], count: int) -> dict[str, int]:
    """How many of the ``count`` largest of all scores each tensor holds.

    Ties go to the earlier tensor, then to the lower flat index: :func:`keep_largest` of each
    tensor with its count is the selection over all of them. Values are compared exactly, also
    across dtypes. One tensor exists at a time; extra memory is in the order of the largest one.

    Args:
        scores: Name to a function that makes the scores. It is called up to six times and must
            give the same scores each time; once, where all are small enough to be held.
        count: How many to keep in all.

    Raises:
        ScoreError: A score is NaN, the dtype has no order, an integer is too large to be
            compared with a float, or a function gave other scores when it was called again.
        BudgetError: There are not ``count`` scores.

    >>> count_largest({"a": lambda: torch.tensor([5.0, 1.0]), "b": lambda: torch.ones(3)}, 3)
    {'a': 2, 'b': 1}
    """
    stream = _Stream(scores)
    try:
        return _count(stream, _Search(stream, _keys.as_float32, 32, count))
    except _keys.NeedsFloat64:
        return _count(stream, _Search(stream, _keys.as_float64, 64, count))


def _count(stream: "_Stream", search: "_Search") -> dict[str, int]:
    search.narrow()
    while search.shift and search.inside > max(stream.largest // 4, _CHUNK):
        search.narrow()
    return search.counts()


class _Stream:
    """The named scores, flat, made one after the other each time it is called.

    While all of them fit into one chunk they are held, so that they are made only once.
    """

    def __init__(self, scores: Mapping[str, Callable[[], Tensor]]) -> None:
        self.largest = 0
        self._scores = scores
        self._held: dict[str, Tensor] | None = None

    def __call__(self) -> Iterator[tuple[str, Tensor]]:
        if self._held is not None:
            yield from self._held.items()
            return
        held: dict[str, Tensor] = {}
        total = 0
        for name, make in self._scores.items():
            flat = make().detach().reshape(-1)
            self.largest = max(self.largest, flat.numel())
            total += flat.numel()
            if total <= _CHUNK:
                held[name] = flat
            else:
                held.clear()
            yield name, flat
            del flat  # or the next one would be made while this one still lives
        if total <= _CHUNK:
            self._held = held


class _Search:
    """Where the ``count``-th largest key lies: its leading digits, and what is still to find.

    ``prefix`` holds the digits found so far, ``shift`` the bits not found yet, ``inside`` how
    many keys begin with the prefix, ``rest`` how many of those are among the ``count`` largest.
    """

    def __init__(
        self,
        tensors: Callable[[], Iterable[tuple[str, Tensor]]],
        comparable: Callable[[Tensor, str], Tensor],
        bits: int,
        count: int,
    ) -> None:
        self.prefix, self.shift = 0, bits
        self.inside, self.rest = 0, _whole(count)
        self._tensors = tensors
        self._comparable = comparable
        self._bits = bits
        self._count = self.rest

    def narrow(self) -> None:
        """Find one more digit, in one pass over the tensors."""
        first = self.shift == self._bits
        self.shift -= _keys.DIGIT
        counts = torch.zeros(_keys.BUCKETS, dtype=torch.int64)
        nan = 0
        for chunk in self._chunks():
            nan += _keys.histogram(chunk, self.shift, self.prefix, counts)
        if nan:
            self._blame()
        if first:
            _check_count(self._count, int(counts.sum()))
        above = counts.flip(0).cumsum(0)
        place = int(torch.searchsorted(above, self.rest))
        digit = _keys.BUCKETS - 1 - place
        self.inside = int(counts[digit])
        self.rest -= int(above[place]) - self.inside
        self.prefix = digit - _keys.BUCKETS // 2 if first else self.prefix << _keys.DIGIT | digit

    def counts(self) -> dict[str, int]:
        """How many of the ``count`` largest each tensor has, in one more pass."""
        kept: dict[str, int] = {}
        inside: dict[str, int] = {}
        keys: list[Tensor] = []
        last = ((self.prefix + 1) << self.shift) - 1  # the largest key that begins with the prefix
        before = (self.prefix << self.shift) - 1  # the key below the smallest one
        for name, flat in self._tensors():
            kept[name] = inside[name] = 0
            for part in flat.split(_CHUNK):
                chunk = self._comparable(part, name)
                above, reached = chunk.new_empty(2, chunk.numel(), dtype=torch.bool)
                _keys.mark(chunk, last, 0, above)
                _keys.mark(chunk, before, 0, reached)
                kept[name] += int(above.count_nonzero())
                inside[name] += int(reached.count_nonzero()) - int(above.count_nonzero())
                if self.shift:
                    keys.append(_keys.keys(chunk[reached ^ above]).cpu())
        if sum(kept.values()) + self.rest != self._count or sum(inside.values()) != self.inside:
            raise ScoreError(
                f"the scores of {', '.join(kept)} changed while they were ranked: their function "
                "gave other numbers when it was called again. A random score must be drawn once, "
                "or from a generator with the same seed each time."
            )
        for name, more in self._share(inside, keys).items():
            kept[name] += more
        return kept

    def _share(self, inside: dict[str, int], keys: list[Tensor]) -> dict[str, int]:
        # What is left of the count, among the keys that begin with the prefix.
        if self.shift and keys:
            parts = keep_largest(torch.cat(keys), self.rest).split(list(inside.values()))
            return {name: int(part.sum()) for name, part in zip(inside, parts, strict=True)}
        shares, rest = {}, self.rest
        for name, size in inside.items():  # all equal: the earlier tensor first
            shares[name] = min(rest, size)
            rest -= shares[name]
        return shares

    def _chunks(self) -> Iterator[Tensor]:
        # Many tiny tensors make one chunk, or each would cost a pass over all buckets.
        waiting: list[Tensor] = []
        size = 0
        for name, flat in self._tensors():
            for part in flat.split(_CHUNK):
                chunk = self._comparable(part, name)
                if chunk.numel() == _CHUNK:
                    yield chunk
                    continue
                waiting.append(chunk.cpu())
                size += chunk.numel()
                if size >= _CHUNK:
                    yield torch.cat(waiting)
                    waiting, size = [], 0
        if waiting:
            yield torch.cat(waiting)

    def _blame(self) -> None:
        for name, flat in self._tensors():
            broken = int(flat.isnan().sum())
            if broken:
                raise ScoreError(
                    f"'{name}' cannot be ranked: {broken} of its {flat.numel()} scores are NaN. "
                    "A NaN is neither large nor small; look for the weight, the gradient or the "
                    "statistic it comes from (an overflow, an empty batch, a division by zero)."
                )


def _whole(count: int) -> int:
    try:
        return operator.index(count)
    except TypeError:
        raise BudgetError(
            f"a count is a whole number of units, got {count!r}. Turn a share into a count first: "
            "round(share * scores.numel())."
        ) from None


def _check_count(count: int, size: int) -> None:
    if not 0 <= count <= size:
        raise BudgetError(
            f"cannot keep {count} of {size} scores. "
            "A count lies between 0 and the number of scores."
        )

"""Bytes of one weight in each storage format, as laid out in real life and as idealised."""

import math
from collections.abc import Sequence

from rarefy.errors import BudgetError, UnknownName

_INT32_MAX = 2**31 - 1
_HELD_BY_FILES = ("dense", "bitmask")


def bytes_of(format: str, shape: Sequence[int], nonzero: int, itemsize: int) -> int:  # noqa: A002 - the word of the vocabulary
    """Bytes of a weight in ``format``, values and indices, with real index widths.

    - ``dense``: every value.
    - ``bitmask``: one bit a weight, rounded up to a byte, and the kept values.
    - ``csr``: of the matrix first side x the rest (a vector is one row): kept values, an int32
      column each, and a row start for every row and one more, int32 as long as the number of
      kept values fits.
    - ``coo``: of the same matrix: kept values, each with an int32 row and an int32 column.

    An index is int64 where a side is too long for int32.

    Args:
        format: One of these four.
        shape: Sides of the weight.
        nonzero: Values stored: the kept ones, zero or not.
        itemsize: Bytes of one value.

    Raises:
        UnknownName: No such format.
        BudgetError: More values than the weight has.

    >>> [bytes_of(name, (4, 4), 5, 4) for name in ("dense", "bitmask", "csr", "coo")]
    [64, 22, 60, 60]
    """
    size, rows, columns = _matrix(shape, nonzero)
    values = nonzero * itemsize
    match format:
        case "dense":
            return size * itemsize
        case "bitmask":
            return (size + 7) // 8 + values
        case "csr":
            return values + nonzero * _width(columns) + (rows + 1) * _width(nonzero)
        case "coo":
            return values + nonzero * (_width(rows) + _width(columns))
        case _:
            raise _unknown(format)


def smallest(shape: Sequence[int], kept: int, itemsize: int) -> tuple[str, int]:
    """The smaller of the formats that a file holds, dense and bitmask, and its bytes.

    This is what :func:`rarefy.save` writes. CSR and COO are counted by :func:`bytes_of` for
    comparison; no file holds them yet. Dense where both are equal.

    Args:
        shape: Sides of the weight.
        kept: Values stored.
        itemsize: Bytes of one value.

    >>> smallest((10, 10), 10, 4)
    ('bitmask', 53)
    >>> smallest((10, 10), 99, 4)
    ('dense', 400)
    """
    sizes = {name: bytes_of(name, shape, kept, itemsize) for name in _HELD_BY_FILES}
    name = min(sizes, key=sizes.__getitem__)
    return name, sizes[name]


def index_bits(format: str, shape: Sequence[int], nonzero: int) -> int:  # noqa: A002 - the word of the vocabulary
    """Bits for the positions alone, with the narrowest fields that can hold them; an ideal.

    For n weights, m of them nonzero, in r rows of c: bitmask n; flat COO m ceil(log2 n); CSR
    m ceil(log2 c) + r ceil(log2 m); dense none. Real layouts (:func:`bytes_of`) need more.

    Hoefler et al., "Sparsity in Deep Learning", 2021, section 2.2.

    Args:
        format: ``dense``, ``bitmask``, ``csr`` or ``coo``.
        shape: Sides of the weight, read as first side x the rest.
        nonzero: Values stored.

    Raises:
        UnknownName: No such format.
        BudgetError: More values than the weight has.

    >>> [index_bits(name, (4, 4), 5) for name in ("bitmask", "coo", "csr")]
    [16, 20, 22]
    """
    size, rows, columns = _matrix(shape, nonzero)
    match format:
        case "dense":
            return 0
        case "bitmask":
            return size
        case "csr":
            return nonzero * _bits(columns) + rows * _bits(nonzero)
        case "coo":
            return nonzero * _bits(size)
        case _:
            raise _unknown(format)


def _matrix(shape: Sequence[int], nonzero: int) -> tuple[int, int, int]:
    size = math.prod(shape)
    if not 0 <= nonzero <= size:
        raise BudgetError(
            f"a weight of shape {tuple(shape)} holds 0 to {size} values, not {nonzero}."
        )
    if len(shape) < 2:
        return size, 1, size
    return size, shape[0], math.prod(shape[1:])


def _width(largest: int) -> int:
    return 4 if largest <= _INT32_MAX else 8


def _bits(values: int) -> int:
    # ceil(log2(values)) in whole numbers; nothing to tell apart where there is one value or none.
    return (values - 1).bit_length() if values > 1 else 0


def _unknown(format: str) -> UnknownName:  # noqa: A002 - the word of the vocabulary
    return UnknownName(f"there is no format {format!r}. Formats are: dense, bitmask, csr, coo.")

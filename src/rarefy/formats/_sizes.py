"""Bytes and bits of a weight in each storage format, from its shape and what it keeps alone."""

import math
from collections.abc import Mapping, Sequence

from rarefy.errors import BudgetError, UnknownName
from rarefy.formats._bsr import Bsr
from rarefy.formats._csr import Csr
from rarefy.formats._delta import Delta
from rarefy.formats._format import Format
from rarefy.formats._kept import field_bits, sides
from rarefy.formats._n_of_m import NofM
from rarefy.formats._run_length import RunLength
from rarefy.formats._words import parse

RECORD = 32
"""Bytes that a delta weight takes more than others in the header of a file."""


def bytes_of(format: str | Format, shape: Sequence[int], nonzero: int, itemsize: int) -> int:  # noqa: A002 - the word of the vocabulary
    """Bytes of a weight in ``format``, values and indices, as they are really laid out.

    Exact for ``dense``, ``bitmask``, ``csr``, ``coo``, ``n:m`` and ``packed``. What ``delta``,
    ``run_length`` and ``bsr`` take depends on where the kept places lie: for them it is the size to
    expect where they are spread evenly at random. :func:`choose` has the exact size of a weight.

    Args:
        format: Its name, or the format; each class says how it is laid out.
        shape: Sides of the weight.
        nonzero: Values stored: the kept ones, zero or not.
        itemsize: Bytes of one value.

    Raises:
        UnknownName: No such format.
        BudgetError: More values than the weight has, or n:m slots.

    >>> [bytes_of(name, (4, 4), 5, 4) for name in ("dense", "bitmask", "csr", "coo")]
    [64, 22, 60, 60]
    """
    found = parse(format) if isinstance(format, str) else format
    _refuse_too_many(shape, nonzero)
    size = found.expected(shape, nonzero, itemsize)
    if math.isinf(size):
        raise BudgetError(f"{found} storage has fewer than {nonzero} slots for {tuple(shape)}.")
    return round(size)


def smallest(shape: Sequence[int], kept: int, itemsize: int) -> tuple[str, int]:
    """The smallest of the formats that a file holds: dense, bitmask and delta, and its bytes.

    This is what :func:`rarefy.save` writes where the kept places are spread evenly at random; it
    looks where they really lie. The simpler format where two are as small: see :func:`held`.

    Args:
        shape: Sides of the weight.
        kept: Values stored.
        itemsize: Bytes of one value.

    >>> smallest((10, 10), 10, 4)
    ('bitmask', 53)
    >>> smallest((10, 10), 99, 4)
    ('dense', 400)
    >>> smallest((1000, 1000), 10_000, 4)
    ('delta', 50840)
    """
    sizes = {name: bytes_of(name, shape, kept, itemsize) for name in ("dense", "bitmask", "delta")}
    name = held(sizes)
    return name, sizes[name]


def held(sizes: Mapping[str, int]) -> str:
    """Which of dense, bitmask and delta a file takes for a weight of these ``sizes`` in bytes.

    Delta where it saves more than the 32 bytes that its record takes more; else the smaller of the
    others, dense where they are equal.

    >>> held({"dense": 400, "bitmask": 53, "delta": 48})
    'bitmask'
    """
    plain = "bitmask" if sizes["bitmask"] < sizes["dense"] else "dense"
    return "delta" if sizes["delta"] + RECORD < sizes[plain] else plain


def index_bits(
    format: str | Format,  # noqa: A002 - the word of the vocabulary
    shape: Sequence[int],
    nonzero: int,
    value_bits: int = 32,
) -> int:
    """Bits for the positions alone, with the narrowest fields that can hold them; an ideal.

    For n weights, m of them nonzero, in r rows of c: bitmask n; flat COO m ceil(log2 n); CSR
    m ceil(log2 c) + r ceil(log2 m); blocks of B full ones (m/B) ceil(log2 block columns) + block
    rows ceil(log2(m/B)); n:m m ceil(log2 m of the pattern); dense none. Delta and run-length as
    they are to be expected of places spread evenly at random, with the best width: m / (1 - q)
    fields, and run-length's fillers with their values. Real layouts (:func:`bytes_of`) need more.

    Hoefler et al., "Sparsity in Deep Learning", 2021, section 2.2.

    Args:
        format: Its name or the format; ``narrow`` or not, packed or not, makes no difference here.
        shape: Sides of the weight, read as first side x the rest.
        nonzero: Values stored.
        value_bits: Bits of a value, of which run-length's fillers take some too.

    Raises:
        UnknownName: No such format, or there is no formula for it (packed).
        BudgetError: More values than the weight has.

    >>> [index_bits(name, (4, 4), 5) for name in ("bitmask", "coo", "csr")]
    [16, 20, 22]
    """
    found = parse(format) if isinstance(format, str) else format
    size = _refuse_too_many(shape, nonzero)
    rows, columns = sides(shape)
    match found:
        case Csr():
            return nonzero * field_bits(columns) + rows * field_bits(nonzero)
        case Bsr():
            blocks = nonzero // (found.rows * found.columns)
            across, down = -(-columns // found.columns), -(-rows // found.rows)
            return blocks * field_bits(across) + down * field_bits(blocks)
        case NofM():
            return nonzero * field_bits(found.m)
        case Delta() | RunLength():
            return _random_bits(found, size, nonzero, value_bits)
    flat = nonzero * field_bits(size)
    plain = {"dense": 0, "bitmask": size, "coo": flat, "coo narrow": flat}
    if found.family not in plain:
        raise UnknownName(f"there is no ideal formula for {found}. bytes_of() has its real size.")
    return plain[found.family]


def entropy_bits(size: int, kept: int) -> float:
    """The least bits that tell ``kept`` independent places of ``size`` apart: n H(m / n).

    A pattern that is known beforehand, such as 2:4, can take less.

    >>> entropy_bits(16, 8)
    16.0
    """
    if not 0 < kept < size:
        return 0.0
    density = kept / size
    return -size * (density * math.log2(density) + (1 - density) * math.log2(1 - density))


def _random_bits(found: Delta | RunLength, size: int, count: int, value_bits: int) -> int:
    if not count:
        return 0
    widths = range(1, 33) if found.width is None else (found.width,)
    missed = 1 - count / size

    def bits(width: int) -> float:
        if isinstance(found, Delta):
            return count * width / (1.0 - float(missed ** (2**width - 1)))
        stored = count / (1.0 - float(missed ** (2**width)))
        return stored * width + (stored - count) * value_bits

    return round(min(map(bits, widths)))


def _refuse_too_many(shape: Sequence[int], nonzero: int) -> int:
    size = math.prod(shape)
    if not 0 <= nonzero <= size:
        raise BudgetError(
            f"a weight of shape {tuple(shape)} holds 0 to {size} values, not {nonzero}."
        )
    return size

"""JSON that a stranger wrote: read with bounded effort, and shown in brief."""

import json
from collections.abc import Iterable
from typing import Any

from rarefy.errors import FileError
from rarefy.files._dtypes import size_of

MOST_BYTES = 32 * 2**20
"""Of a text that is read at most: as a header, room for some fifty thousand tensors."""
_MOST_PARTS = 1_000_000
"""Objects and lists in a text at most, so that parsing cannot take much memory."""
_MOST_SIDES = 64
_MOST_NUMBER = 2**62


def parsed(text: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``text``, with bounded effort, and no key twice.

    Raises:
        FileError: It is none.
    """
    if text.count(b"{") + text.count(b"[") > _MOST_PARTS:
        raise FileError(f"{what} has more than {_MOST_PARTS} parts. It is damaged or hostile.")
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except FileError as error:
        raise FileError(f"{what} {error}") from None
    except (ValueError, RecursionError) as error:
        raise FileError(f"{what} is no JSON ({brief(error)}). It is damaged.") from None
    if not isinstance(value, dict) or text[:1] != b"{":
        raise FileError(f"{what} is no JSON object. It is damaged.")
    return value


def brief(value: object) -> str:
    """At most 80 printable characters of something a stranger wrote."""
    text = ascii(str(value))[1:-1]
    return text if len(text) <= 80 else text[:77] + "..."


def whole(value: object) -> bool:
    """Whether ``value`` is a whole number that is not negative and fits in 62 bits."""
    return type(value) is int and 0 <= value < _MOST_NUMBER


def is_shape(value: object) -> bool:
    """Whether ``value`` is a list of sides that a tensor can have."""
    if not isinstance(value, list) or len(value) > _MOST_SIDES or not all(map(whole, value)):
        return False
    # An empty tensor has strides too, and they are the product of its other sides.
    return size_of(tuple(max(side, 1) for side in value)) < _MOST_NUMBER


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise FileError(f"has {brief(key)} twice. It is damaged.")
        found[key] = value
    return found

"""How a sparse weight is stored: packed masks, and the bytes that each format takes."""

from rarefy.formats._bits import pack_bits, unpack_bits
from rarefy.formats._sizes import bytes_of, index_bits, smallest

__all__ = [
    "bytes_of",
    "index_bits",
    "pack_bits",
    "smallest",
    "unpack_bits",
]

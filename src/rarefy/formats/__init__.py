"""How a sparse weight is stored: formats to and from tensors, and the bytes that each takes."""

from rarefy.formats._bitmask import Bitmask
from rarefy.formats._bits import pack_bits, unpack_bits
from rarefy.formats._break_even import break_even
from rarefy.formats._bsr import Bsr
from rarefy.formats._choose import Choice, choose
from rarefy.formats._coo import Coo
from rarefy.formats._csr import Csr
from rarefy.formats._delta import Delta
from rarefy.formats._dense import Dense
from rarefy.formats._encode import Encoded, decode, encode
from rarefy.formats._format import Format
from rarefy.formats._gaps import held_as, pack_gaps, unpack_gaps
from rarefy.formats._n_of_m import NofM
from rarefy.formats._packed import Packed
from rarefy.formats._run_length import RunLength
from rarefy.formats._sizes import bytes_of, entropy_bits, held, index_bits, smallest
from rarefy.formats._words import parse

__all__ = [
    "Bitmask",
    "Bsr",
    "Choice",
    "Coo",
    "Csr",
    "Delta",
    "Dense",
    "Encoded",
    "Format",
    "NofM",
    "Packed",
    "RunLength",
    "break_even",
    "bytes_of",
    "choose",
    "decode",
    "encode",
    "entropy_bits",
    "held",
    "held_as",
    "index_bits",
    "pack_bits",
    "pack_gaps",
    "parse",
    "smallest",
    "unpack_bits",
    "unpack_gaps",
]

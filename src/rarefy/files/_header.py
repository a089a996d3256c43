"""Our own header, one JSON text in a file's metadata: what each tensor is, and its checksum."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rarefy.errors import FileError
from rarefy.files._container import Layout
from rarefy.files._dtypes import DTYPES, size_of
from rarefy.files._json import brief, is_shape, parsed, whole

VERSIONS = (1, 2)
"""Of the format, the known ones; a file of another is refused. 2 adds delta storage and choices."""
TEXT = "rarefy"
CHECKSUM = "rarefy.checksum"
MOST_WIDTH = 8
"""Bits of a gap: a byte never stands for more than 255 elements, whoever wrote it."""
MASK = ".rarefy.mask"
VALUES = ".rarefy.values"
FORMATS = ("bitmask", "delta", "dense")
MASKS = ("all", "bits", "none", "nonzero")
_DELTA = ("width", "gaps")
"""Fields that only the record of a delta tensor has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One tensor of a file, however it is stored."""

    format: str
    """``dense``; ``bitmask``: packed bits, and the values where a bit is set; ``delta``: gaps in
    fields of ``width`` bits, and the values they lead to."""
    mask: str
    """``none``: not sparsified. ``nonzero``: kept where the value is not zero. ``all``: kept
    everywhere. ``bits``: the stored bits or gaps are the mask."""
    dtype: str
    shape: tuple[int, ...]
    kept: int
    """Weights kept; of a tensor without a mask, the values stored."""
    nonzero: int | None
    """Values that are not zero; None in a file that does not say."""
    checksum: str | None
    """BLAKE2b, 16 bytes, of the dense values and, where there is a mask, its packed bits."""
    aliases: tuple[str, ...] = ()
    """Further names of the same tensor, where it is tied."""
    width: int = 1
    """Bits of a gap; of another format than delta 1."""
    gaps: int = 0
    """Bytes of the gaps; of another format than delta none."""

    @property
    def size(self) -> int:
        """Elements."""
        return size_of(self.shape)

    def layout(self, key: str) -> Layout:
        """The stored tensors that hold this one, which is called ``key``."""
        if self.format == "dense":
            return {key: (self.dtype, self.shape)}
        return {
            key + VALUES: (self.dtype, (self.kept,)),
            key + MASK: ("U8", (self.gaps if self.format == "delta" else (self.size + 7) // 8,)),
        }


def totals(records: Mapping[str, Record]) -> dict[str, int]:
    """Weights, kept and nonzero ones, of the tensors that have a mask."""
    masked = [record for record in records.values() if record.mask != "none"]
    return {
        "size": sum(record.size for record in masked),
        "kept": sum(record.kept for record in masked),
        "nonzero": sum(record.nonzero or 0 for record in masked),
    }


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says it holds."""

    version: int | None
    """Of the format; None where the file is an ordinary safetensors file."""
    method: str | None
    """Name of the method that made the masks."""
    records: Mapping[str, Record]
    choices: Mapping[str, Any] | None = None
    """How an accelerated model ran, for :func:`rarefy.load` to make it run so again."""


def text_of(
    records: Mapping[str, Record],
    method: str | None,
    choices: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """The metadata that say what the file holds, in the lowest version that can.

    Raises:
        FileError: The choices are nothing that JSON can say.
    """
    tensors = {key: _plain(record) for key, record in records.items()}
    later = choices is not None or any(record.format == "delta" for record in records.values())
    content: dict[str, Any] = {"version": 2 if later else 1, "method": method, **totals(records)}
    content |= {} if choices is None else {"choices": choices}
    content["tensors"] = tensors
    try:
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise FileError(f"choices are plain data that JSON can say; {error}.") from error
    return {TEXT: text, CHECKSUM: digest(text.encode())}


def _plain(record: Record) -> dict[str, Any]:
    plain = asdict(record)
    return plain if record.format == "delta" else {k: plain[k] for k in plain if k not in _DELTA}


def digest(*parts: Any) -> str:  # noqa: ANN401 - whatever holds bytes
    """BLAKE2b of 16 bytes over the parts, as hexadecimal text."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()


def read_header(metadata: Mapping[str, str], layout: Layout) -> Header | None:
    """What a file of ours says; None of any other safetensors file.

    Args:
        metadata: The texts in the file.
        layout: The tensors in it.

    Raises:
        FileError: It is ours, but damaged or of another version.
    """
    if TEXT not in metadata and CHECKSUM not in metadata:
        _refuse_leftovers(layout)
        return None
    text = metadata.get(TEXT, "").encode()
    if digest(text) != metadata.get(CHECKSUM):
        raise FileError("the checksum of its rarefy header is wrong. It is damaged.")
    content = parsed(text, "the rarefy header")
    version = content.get("version")
    if type(version) is not int or version not in VERSIONS:
        raise FileError(
            f"it has format version {brief(version)}; this rarefy reads versions "
            f"{', '.join(map(str, VERSIONS))}. Read it with a newer rarefy."
        )
    optional = {"choices"} if version > 1 else set()
    fields = {"version", "method", "size", "kept", "nonzero", "tensors"}
    if set(content) - optional != fields:
        raise FileError(f"its rarefy header has the fields {brief(sorted(content))}.")
    method, tensors = content["method"], content["tensors"]
    if not isinstance(tensors, dict) or not isinstance(method, str | None):
        raise FileError("its rarefy header has no tensors, or a method that is no text.")
    choices = content.get("choices")
    if "choices" in content and not isinstance(choices, dict):
        raise FileError("its choices are no JSON object. The rarefy header is damaged.")
    records = {key: _record(key, value, version) for key, value in tensors.items()}
    _refuse_mismatch(records, layout, content)
    return Header(version, method, records, choices)


def _record(key: str, value: object, version: int) -> Record:
    fields = set(Record.__dataclass_fields__)
    delta = isinstance(value, dict) and value.get("format") == "delta" and version > 1
    fields -= set() if delta else set(_DELTA)
    if not isinstance(value, dict) or set(value) != fields:
        raise FileError(f"the record of {brief(key)} has not the fields {sorted(fields)}.")
    formats = FORMATS if version > 1 else ("bitmask", "dense")
    words = {"format": formats, "mask": MASKS, "dtype": tuple(DTYPES)}
    for word, known in words.items():
        if value[word] not in known:
            raise FileError(f"{brief(key)}: {word} is {brief(value[word])}; known: {known}.")
    numbers = [value[word] for word in ("kept", "nonzero", *_DELTA) if word in value]
    if not is_shape(value["shape"]) or not all(map(whole, numbers)):
        raise FileError(f"{brief(key)}: shape, kept and nonzero are not whole numbers.")
    texts = value["aliases"]
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise FileError(f"{brief(key)}: aliases is no list of names.")
    record = Record(**{**value, "shape": tuple(value["shape"]), "aliases": tuple(texts)})
    if not isinstance(record.checksum, str) or not _possible(record):
        raise FileError(
            f"{brief(key)}: {record.kept} kept and {record.nonzero} nonzero of {record.size} do "
            f"not go with format {record.format} and mask {record.mask}. The header is damaged."
        )
    return record


def _possible(record: Record) -> bool:
    nonzero = record.nonzero or 0
    if record.format != "dense":
        fits = record.mask in ("bits", "none") and nonzero <= record.kept <= record.size
        return fits and (record.format == "bitmask" or _covers(record))
    if record.mask == "nonzero":
        return record.kept == nonzero <= record.size
    return record.mask in ("all", "none") and nonzero <= record.kept == record.size


def _covers(record: Record) -> bool:
    """Whether there are gaps enough for the kept, and to lead through the whole tensor."""
    if not 1 <= record.width <= MOST_WIDTH or record.gaps % record.width:
        return False
    fields, longest = record.gaps // record.width * 8, 2**record.width - 1
    return record.kept <= fields and record.size <= fields * longest


def _refuse_mismatch(
    records: Mapping[str, Record], found: Layout, content: Mapping[str, Any]
) -> None:
    wanted: Layout = {}
    for key, record in records.items():
        wanted |= record.layout(key)
    if wanted != found:
        odd = sorted(k for k in {*wanted, *found} if wanted.get(k) != found.get(k))
        raise FileError(
            f"its rarefy header and its tensors do not agree about {brief(', '.join(odd))}."
        )
    names = [name for key, record in records.items() for name in (key, *record.aliases)]
    if len(set(names)) != len(names):
        raise FileError("a name stands for two tensors. The rarefy header is damaged.")
    sums = totals(records)
    if any(content[word] != number or not whole(content[word]) for word, number in sums.items()):
        raise FileError(f"its totals are not {sums}. The rarefy header is damaged.")


def _refuse_leftovers(layout: Layout) -> None:
    left = [key for key in layout if key.endswith((MASK, VALUES))]
    if left:
        raise FileError(
            f"it holds {brief(left[0])}, a part of a sparse tensor, but no rarefy header: another "
            "program wrote it anew and dropped the metadata. Use the file it was made from."
        )

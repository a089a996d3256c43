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

VERSION = 1
"""Of the format; a file of another version is refused."""
TEXT = "rarefy"
CHECKSUM = "rarefy.checksum"
MASK = ".rarefy.mask"
VALUES = ".rarefy.values"
MASKS = ("all", "bits", "none", "nonzero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One tensor of a file, however it is stored."""

    format: str
    """``dense``, or ``bitmask``: packed bits, and the values where a bit is set."""
    mask: str
    """``none``: not sparsified. ``nonzero``: kept where the value is not zero. ``all``: kept
    everywhere. ``bits``: the stored bits are the mask."""
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
            key + MASK: ("U8", ((self.size + 7) // 8,)),
        }


def totals(records: Mapping[str, Record]) -> dict[str, int]:
    """Weights, kept and nonzero ones, of the tensors that have a mask."""
    masked = [record for record in records.values() if record.mask != "none"]
    return {
        "size": sum(record.size for record in masked),
        "kept": sum(record.kept for record in masked),
        "nonzero": sum(record.nonzero or 0 for record in masked),
    }


def text_of(records: Mapping[str, Record], method: str | None) -> dict[str, str]:
    """The metadata that say what the file holds."""
    tensors = {key: asdict(record) for key, record in records.items()}
    content = {"version": VERSION, "method": method, **totals(records), "tensors": tensors}
    text = json.dumps(content, separators=(",", ":"))
    return {TEXT: text, CHECKSUM: digest(text.encode())}


def digest(*parts: Any) -> str:  # noqa: ANN401 - whatever holds bytes
    """BLAKE2b of 16 bytes over the parts, as hexadecimal text."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()


def read_header(
    metadata: Mapping[str, str], layout: Layout
) -> tuple[str | None, dict[str, Record]] | None:
    """The method and the records of a file of ours; None of any other safetensors file.

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
    if content.get("version") != VERSION:
        raise FileError(
            f"it has format version {brief(content.get('version'))}; this rarefy reads version "
            f"{VERSION}. Read it with a newer rarefy."
        )
    if set(content) != {"version", "method", "size", "kept", "nonzero", "tensors"}:
        raise FileError(f"its rarefy header has the fields {brief(sorted(content))}.")
    method, tensors = content["method"], content["tensors"]
    if not isinstance(tensors, dict) or not isinstance(method, str | None):
        raise FileError("its rarefy header has no tensors, or a method that is no text.")
    records = {key: _record(key, value) for key, value in tensors.items()}
    _refuse_mismatch(records, layout, content)
    return method, records


def _record(key: str, value: object) -> Record:
    fields = set(Record.__dataclass_fields__)
    if not isinstance(value, dict) or set(value) != fields:
        raise FileError(f"the record of {brief(key)} has not the fields {sorted(fields)}.")
    words = {"format": ("bitmask", "dense"), "mask": MASKS, "dtype": tuple(DTYPES)}
    for word, known in words.items():
        if value[word] not in known:
            raise FileError(f"{brief(key)}: {word} is {brief(value[word])}; known: {known}.")
    if not is_shape(value["shape"]) or not whole(value["kept"]) or not whole(value["nonzero"]):
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
    if record.format == "bitmask":
        return record.mask in ("bits", "none") and nonzero <= record.kept <= record.size
    if record.mask == "nonzero":
        return record.kept == nonzero <= record.size
    return record.mask in ("all", "none") and nonzero <= record.kept == record.size


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

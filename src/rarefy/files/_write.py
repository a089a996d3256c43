"""A safetensors file from tensors that are made one after another."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rarefy.files._atomic import replacing
from rarefy.files._container import Layout, write_container
from rarefy.files._dtypes import Words, words_of
from rarefy.files._header import CHECKSUM, TEXT, Record, text_of
from rarefy.files._tensors import Source, describe, encode

_FORMAT = {"format": "pt"}
"""What other programs look for, to know that PyTorch made the tensors."""


def write_sparse(
    path: Path,
    sources: Mapping[str, Source],
    method: str | None = None,
    metadata: Mapping[str, str] | None = None,
    choices: Mapping[str, Any] | None = None,
) -> dict[str, Record]:
    """Write each tensor in the smallest way, atomically; the record of each is returned.

    What is stored is in memory at once; of a dense tensor on the CPU it is the tensor's own.

    Args:
        path: Where.
        sources: Name to tensor; each is made three times at most.
        method: Name of the method that made the masks.
        metadata: Further text for the header; entries of ours in it are replaced.
        choices: How an accelerated model ran, as plain data.
    """
    records: dict[str, Record] = {}
    layout: Layout = {}
    parts: dict[str, Words] = {}
    for key, source in sources.items():
        records[key] = record = describe(key, source)
        layout |= record.layout(key)
        parts |= {name: encode(name, record, source) for name in record.layout(key)}
    with replacing(path) as fresh:
        texts = _FORMAT | _others(metadata) | text_of(records, method, choices)
        write_container(fresh, layout, parts, texts)
    return records


def write_dense(
    path: Path,
    layout: Layout,
    sources: Mapping[str, Source],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write an ordinary safetensors file, atomically.

    Args:
        path: Where.
        layout: Name to dtype and shape.
        sources: Name to tensor; each is made once, and all are in memory at once.
        metadata: Further text for the header, without entries of ours.
    """
    parts = {key: words_of(sources[key].tensor()) for key in layout}
    with replacing(path) as fresh:
        write_container(fresh, layout, parts, _FORMAT | _others(metadata))


def _others(metadata: Mapping[str, str] | None) -> dict[str, str]:
    return {k: v for k, v in (metadata or {}).items() if k not in (TEXT, CHECKSUM)}

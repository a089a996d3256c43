"""``rarefy inspect``: what a safetensors file holds, tensor by tensor."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from rarefy.cli._output import WIDTH, AsJson, drawn, progress, say, say_json
from rarefy.errors import FileError
from rarefy.files import Contents, read
from rarefy.reports import Storage, storage_of, storage_table

EXAMPLE = "Example: [bold]rarefy inspect model.safetensors[/bold]"


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    size: int
    kept: int
    nonzero: int
    sparsity: float
    bytes: int
    stored: str
    formats: dict[str, int]
    least: int
    smallest: str
    smallest_bytes: int
    next: str | None
    next_sparsity: float | None


def inspect(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="A safetensors file, or a folder of them.")
    ],
    as_json: AsJson = False,
) -> None:
    """Read a file whole, verify it, and list its tensors: kept, nonzero, bytes, best storage.

    Kept is what the mask keeps; a kept weight may be 0.0. Without masks a zero is not kept.

    A second table has the bytes of every weight in each format, exactly, for where its kept
    elements lie; what independent elements need at least; the smallest; and the next break-even:
    which format would be the smallest, from which sparsity on, if more were removed in the same
    pattern. A file holds dense, bitmask or delta.
    """
    found: dict[str, tuple[Contents, list[_Row], dict[str, Storage]]] = {}
    with progress(f"reading {path}") as watch:
        for file in _files(path):
            contents = read(file)
            weights: dict[str, Storage] = {}
            found[file.name] = (contents, _rows(contents, weights, watch), weights)
    if as_json:
        say_json(
            {
                "path": str(path),
                "files": [_as_dict(contents, rows) for contents, rows, _ in found.values()],
            }
        )
        return
    for contents, rows, weights in found.values():
        say(*_told(contents, rows, weights))
    if len(found) > 1:
        every = [row for _, rows, _ in found.values() for row in rows]
        say(
            f"{len(found)} files, {sum(file.size for file, _, _ in found.values()):,} bytes in all:"
        )
        say(_total(every))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise FileError(f"{path} has no *.safetensors in it. Give a file, or the folder of some.")
    return files


def _rows(
    contents: Contents, weights: dict[str, Storage], watch: Callable[[str, int, int], None]
) -> list[_Row]:
    """One row a tensor; what those take that are worth another format goes into ``weights``."""
    rows = []
    for place, (name, record) in enumerate(contents.records.items()):
        watch(f"reading {contents.path.name}", place, len(contents.records))
        tensor = contents.tensors[name]
        nonzero = int(torch.count_nonzero(tensor))
        kept = nonzero if contents.version is None else record.kept
        storage = _storage(contents, name, tensor)
        if storage is not None:
            weights[name] = storage
        rows.append(
            _Row(
                name=name,
                names=(name, *record.aliases),
                shape=record.shape,
                dtype=record.dtype,
                size=record.size,
                kept=kept,
                nonzero=nonzero,
                sparsity=1 - kept / record.size if record.size else 0.0,
                bytes=contents.bytes[name],
                stored=record.format,
                **_in_every_format(storage, record.size * tensor.element_size()),
            )
        )
    return rows


def _storage(contents: Contents, name: str, tensor: Tensor) -> Storage | None:
    """Of a weight; nothing else is worth another format."""
    mask = contents.masks.get(name)
    if not tensor.is_floating_point() or (mask is None and tensor.dim() < 2):
        return None
    return storage_of(contents, name, tensor, mask)


def _in_every_format(storage: Storage | None, dense: int) -> dict[str, Any]:
    if storage is None:
        return {
            "formats": {"dense": dense},
            "least": dense,
            "smallest": "dense",
            "smallest_bytes": dense,
            "next": None,
            "next_sparsity": None,
        }
    choice = storage.choice
    return {
        "formats": dict(choice.bytes),
        "least": choice.least,
        "smallest": choice.smallest,
        "smallest_bytes": choice.bytes[choice.smallest],
        "next": choice.next,
        "next_sparsity": choice.next_sparsity,
    }


def _as_dict(contents: Contents, rows: list[_Row]) -> dict[str, object]:
    return {
        "path": str(contents.path),
        "version": contents.version,
        "method": contents.method,
        "bytes": contents.size,
        "tensors": [asdict(row) for row in rows],
    }


def _told(contents: Contents, rows: list[_Row], weights: Mapping[str, Storage]) -> list[object]:
    kind = (
        "an ordinary safetensors file, without masks"
        if contents.version is None
        else f"a rarefy file, format {contents.version}, method {contents.method or 'not told'}"
    )
    least = sum(row.smallest_bytes for row in rows)
    held = sum(row.bytes for row in rows)
    lines: list[object] = [
        f"{contents.path}: {kind}; {contents.size:,} bytes",
        drawn(
            ("tensor", "shape", "dtype", "kept", "nonzero", "sparsity", "bytes", "as"),
            (
                (
                    " = ".join(row.names),
                    " x ".join(map(str, row.shape)) or "one number",
                    row.dtype,
                    f"{row.kept:,}",
                    f"{row.nonzero:,}",
                    f"{row.sparsity:.2%}",
                    f"{row.bytes:,}",
                    row.stored,
                )
                for row in rows
            ),
            words=("shape", "dtype", "as"),
        ),
        *([storage_table(weights, None if sys.stdout.isatty() else WIDTH)] if weights else []),
        _total(rows),
    ]
    if contents.version is None and least < 0.9 * held:
        lines.append("Its zeros are stored like any number; rarefy.save() leaves them out.")
    return lines


def _total(rows: list[_Row]) -> str:
    size, kept = sum(row.size for row in rows), sum(row.kept for row in rows)
    held, least = sum(row.bytes for row in rows), sum(row.smallest_bytes for row in rows)
    return (
        f"{kept:,} of {size:,} elements kept; {held:,} bytes of tensors, {least:,} at their "
        "smallest."
    )

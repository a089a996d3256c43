"""A file, or a folder of files that make one model, as Hugging Face lays it out."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rarefy.errors import FileError
from rarefy.files._atomic import building
from rarefy.files._container import reading
from rarefy.files._dtypes import itemsize, size_of
from rarefy.files._json import MOST_BYTES, brief, parsed

_INDEX = "*.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Job:
    """Files to read, and where what is made of each goes."""

    sources: tuple[Path, ...]
    folder: Path | None
    """The folder they lie in; None for a single file."""

    @contextlib.contextmanager
    def into(self, destination: Path) -> Iterator[dict[Path, Path]]:
        """Source to destination of each file; a folder appears whole when the block ends.

        The other files of a folder are copied into it; its index is written anew, from what then
        lies in the files that it names.

        Raises:
            FileError: The destination cannot be written, or is a folder that exists.
        """
        if self.folder is None:
            yield {self.sources[0]: destination}
            return
        if destination.resolve().is_relative_to(self.folder.resolve()):
            raise FileError(
                f"{destination} is inside {self.folder}, which is read. Choose another."
            )
        with building(destination) as part:
            indices = sorted(self.folder.glob(_INDEX))
            taken = {path.name for path in (*self.sources, *indices)}
            shutil.copytree(
                self.folder,
                part,
                dirs_exist_ok=True,
                ignore=lambda at, names: taken & set(names) if Path(at) == self.folder else set(),
            )
            yield {source: part / source.name for source in self.sources}
            for index in indices:
                _write_index(index, part)


def job_of(source: Path) -> Job:
    """The safetensors files at ``source``.

    In a folder those are the ones that its index names (``*.safetensors.index.json``), or else
    all ``*.safetensors`` directly in it.

    Raises:
        FileError: There is none.
    """
    if not source.is_dir():
        return Job((source,), None)
    indices = sorted(source.glob(_INDEX))
    files = _indexed(source, indices) if indices else sorted(source.glob("*.safetensors"))
    if not files:
        raise FileError(f"{source} has no *.safetensors in it. Give the folder that holds them.")
    return Job(tuple(files), source)


def _indexed(folder: Path, indices: Sequence[Path]) -> list[Path]:
    names: dict[str, None] = {}
    for index in indices:
        names |= dict.fromkeys(_content(index)["weight_map"].values())
    # A name with a folder in it could point anywhere on the disk.
    odd = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
    if odd:
        raise FileError(f"{folder} has no file {brief(odd[0])}, which its index names.")
    return [folder / name for name in sorted(names)]


def _content(index: Path) -> dict[str, Any]:
    try:
        if index.stat().st_size > MOST_BYTES:
            raise FileError(f"it is larger than {MOST_BYTES} bytes.")
        content = parsed(index.read_bytes().strip(), "the index")
    except (FileError, OSError) as error:
        raise FileError(f"{index}: {error}") from None
    shards = content.get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise FileError(f"{index}: its weight_map is not file names by tensor name.")
    return content


def _write_index(index: Path, part: Path) -> None:
    """The same index in ``part``, naming the tensors that its shards hold there."""
    content = _content(index)
    shards: dict[str, str] = {}
    total = 0
    for name in sorted(set(content["weight_map"].values())):
        with reading(part / name) as container:
            layout = container.layout()
        shards |= dict.fromkeys(layout, name)
        total += sum(size_of(shape) * itemsize(dtype) for dtype, shape in layout.values())
    about = content.get("metadata")
    content["metadata"] = (about if isinstance(about, dict) else {}) | {"total_size": total}
    content["weight_map"] = dict(sorted(shards.items()))
    text = json.dumps(content, indent=2) + "\n"
    (part / index.name).write_text(text, encoding="utf-8", newline="\n")

"""Back to an ordinary file: dense tensors that any program reads."""

from pathlib import Path

from torch import Tensor

from rarefy.files._container import Layout
from rarefy.files._folder import job_of
from rarefy.files._read import Contents, read
from rarefy.files._tensors import Source
from rarefy.files._write import write_dense


def to_dense(source: str | Path, destination: str | Path) -> None:
    """Write an ordinary, dense safetensors file with the same tensors, atomically.

    Removed weights are 0.0 in it, and nothing says that they were removed. A tied tensor stands
    under each of its names. The tensors of one file are in memory at once.

    Args:
        source: A safetensors file, or a folder of them.
        destination: A file, replaced if it is there; or for a folder a new folder, into which the
            other files are copied and its index is written anew.

    Raises:
        FileError: Something cannot be read or written, or is damaged.
    """
    job = job_of(Path(source))
    with job.into(Path(destination)) as places:
        for path, place in places.items():
            _write(read(path), place)


def _write(contents: Contents, place: Path) -> None:
    layout: Layout = {}
    sources: dict[str, Source] = {}
    for key, record in contents.records.items():
        for name in (key, *record.aliases):
            layout[name] = (record.dtype, record.shape)
            sources[name] = _source(contents, key)
    write_dense(place, layout, sources, contents.metadata)


def _source(contents: Contents, key: str) -> Source:
    def tensor() -> Tensor:
        return contents.tensors[key]

    return Source(tensor)

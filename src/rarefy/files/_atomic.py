"""Writing whole or not at all: built beside the destination, then moved onto it."""

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from rarefy.errors import FileError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write a file that takes the place of ``path`` when the block ends without an error.

    Until then, and after an error, what was at ``path`` stays as it was. The data reach the disk
    before the move. A process that is killed leaves a folder ``.rarefy-*.part`` beside it.

    Raises:
        FileError: The operating system would not write.
    """
    target = path.resolve()
    with _part(path, target) as folder:
        fresh = folder / target.name
        fresh.touch()
        mode = (target if target.exists() else fresh).stat().st_mode
        yield fresh
        with fresh.open("r+b") as file:
            os.fsync(file.fileno())
        # What is written may be another file than was touched, for its owner's eyes alone.
        fresh.chmod(stat.S_IMODE(mode))
        fresh.replace(target)
    _sync(target.parent)


@contextlib.contextmanager
def building(path: Path) -> Iterator[Path]:
    """A folder to fill that becomes ``path`` when the block ends without an error.

    Raises:
        FileError: There is something at ``path``, or the operating system would not write.
    """
    if path.exists():
        raise FileError(f"{path} exists already. Choose another destination, or remove it first.")
    target = path.resolve()
    with _part(path, target) as folder:
        yield folder
        folder.rename(target)
    _sync(target.parent)


@contextlib.contextmanager
def _part(path: Path, target: Path) -> Iterator[Path]:
    """A folder beside ``target`` until the block ends; errors are told of ``path``."""
    # The same folder is the same file system, so that the move is one step.
    folder = target.with_name(f".rarefy-{secrets.token_hex(6)}.part")
    try:
        folder.mkdir()
        yield folder
    except OSError as error:
        raise FileError(
            f"{path} cannot be written: {error.strerror or error}. What was there before is as "
            "it was. The folder must exist, be writable, and have room for a second copy."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    # The move itself reaches the disk with the folder; where a folder cannot be opened (Windows)
    # or synced (some network drives), the file is whole all the same.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

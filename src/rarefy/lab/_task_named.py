"""A task by its name, as the command line says it."""

import inspect
from pathlib import Path

from rarefy.errors import UnknownName
from rarefy.lab import tasks
from rarefy.lab.tasks import Task
from rarefy.selection import named


def task_named(name: str, *, path: str | Path | None = None, download: bool = False) -> Task:
    """The built-in task called ``name``.

    Args:
        name: ``digits`` or ``fashion``.
        path: Where its data are, for a task whose data are files.
        download: Whether its data may be fetched.

    Raises:
        UnknownName: There is no such task, or it has no files to look for.
        FileError: Its data are not there, or are damaged.
        MissingExtra: A package that holds or fetches its data is not installed.
    """
    make = named(tasks, name)
    if "path" in inspect.signature(make).parameters:
        made: Task = make(path, download=download)
        return made
    if path is not None or download:
        raise UnknownName(
            f"the data of {make.__name__} come with a package, so there is no folder to look in "
            "and nothing to download. Leave that out."
        )
    embedded: Task = make()
    return embedded

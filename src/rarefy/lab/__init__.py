"""The lab: real data, small networks, and runs that compare methods at equal budgets."""

from rarefy.lab import tasks
from rarefy.lab._demo import demo
from rarefy.lab._demonstration import Demo
from rarefy.lab._folder import RunFolder, about
from rarefy.lab._run import run
from rarefy.lab._setup import Outcome, Setup, setup_of
from rarefy.lab._table import Table
from rarefy.lab._task_named import task_named
from rarefy.lab.tasks._idx import fashion_folder

__all__ = [
    "Demo",
    "Outcome",
    "RunFolder",
    "Setup",
    "Table",
    "about",
    "demo",
    "fashion_folder",
    "run",
    "setup_of",
    "task_named",
    "tasks",
]

"""Built-in tasks: real data, a small network, a training loop and a score.

Every function here makes one task; its name is the task's name on the command line.
"""

from rarefy.lab.tasks._data import Data
from rarefy.lab.tasks._digits import digits
from rarefy.lab.tasks._fashion import fashion
from rarefy.lab.tasks._task import Attach, Task

__all__ = [
    "Attach",
    "Data",
    "Task",
    "digits",
    "fashion",
]

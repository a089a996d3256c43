"""Reports: a table, JSON and a page, of a model, a Sparsifier, a run or a file."""

from rarefy.reports._comparison import Comparison, compare_runs
from rarefy.reports._of_speed import speed_page
from rarefy.reports._report import Report
from rarefy.reports._rich import storage_table
from rarefy.reports._storage import Storage, storage_of
from rarefy.reports._subject import report
from rarefy.reports._training import Training, training_of
from rarefy.reports._training import lines as training_lines

__all__ = [
    "Comparison",
    "Report",
    "Storage",
    "Training",
    "compare_runs",
    "report",
    "speed_page",
    "storage_of",
    "storage_table",
    "training_lines",
    "training_of",
]

"""Reports: a table, JSON and a page, of a model, a Sparsifier, a run or a file."""

from rarefy.reports._comparison import Comparison, compare_runs
from rarefy.reports._report import Report
from rarefy.reports._subject import report

__all__ = [
    "Comparison",
    "Report",
    "compare_runs",
    "report",
]

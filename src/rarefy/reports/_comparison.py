"""Several reports side by side."""

from collections.abc import Callable, Iterator, Mapping
from html import escape
from os import PathLike
from typing import TYPE_CHECKING, Any

from rarefy.errors import TargetError
from rarefy.reports import _charts, _notebook, _page, _rich, _sections, _text
from rarefy.reports import _numbers as show
from rarefy.reports._masks import shown_exactly
from rarefy.reports._report import Report
from rarefy.reports._rows import Rows

if TYPE_CHECKING:
    from rich.table import Table


class Comparison(Mapping[str, Report]):
    """Reports by name, in the order given; made by :func:`compare_runs`.

    It only lays them side by side: each was measured by itself, at its own time.
    """

    def __init__(self, reports: Mapping[str, Report]) -> None:
        self._reports = dict(reports)

    def __getitem__(self, name: str) -> Report:
        return self._reports[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._reports)

    def __len__(self) -> int:
        return len(self._reports)

    def __str__(self) -> str:
        return _text.plain(self.rows())

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self)})"

    def table(self) -> "Table":
        """The same as ``print`` shows, as a table of the rich library."""
        return _rich.rows(self.rows())

    def _repr_html_(self) -> str:
        return _notebook.small(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Name to :meth:`Report.to_dict`."""
        return {name: report.to_dict() for name, report in self.items()}

    def rows(self) -> Rows:
        """One row a report; a column only where some report has something for it."""
        columns = {"run": list(self)} | {
            word: [cell(report) for report in self.values()] for word, cell in _COLUMNS.items()
        }
        named = dict.fromkeys(name for r in self.values() for name in r.scores.get("this", {}))
        scores = {name: [_score(report, name) for report in self.values()] for name in named}
        # Scores come second: they are what everybody looks for first.
        columns = {"run": columns.pop("run"), **scores, **columns}
        kept = {word: cells for word, cells in columns.items() if set(cells) != {show.NOTHING}}
        rows = tuple(zip(*kept.values(), strict=True))
        return Rows(tuple(kept), rows, tuple(word in ("run", "state") for word in kept))

    def html(
        self,
        path: "str | PathLike[str]",
        *,
        title: str = "Runs side by side",
        note: str = "",
        exact: int = _page.EXACT,
    ) -> None:
        """Writes one self-contained page: the comparison, then each report.

        Args:
            path: File to write; replaced as a whole, or not at all.
            title: Heading of the page.
            note: A sentence above the table, such as which of several runs is shown.
            exact: As for :meth:`Report.html`, over all reports.

        Raises:
            MissingExtra: The plotting library is not installed.
        """
        chosen = shown_exactly(self, exact)
        said = f"<p>{escape(note)}</p>" if note else ""
        parts = [
            f"<section>{said}{_sections.table(self.rows())}</section>",
            f'<section><h2>Side by side</h2><div class="charts">{self._bars()}</div></section>',
            self._curves(),
            "<section><h2>Each run</h2>",
            *(
                f"<details><summary>{escape(name)}</summary>"
                f"{_sections.body(report, {weight for run, weight in chosen if run == name})}"
                "</details>"
                for name, report in self.items()
            ),
            "</section>",
        ]
        _page.write(path, _page.shell(title, "".join(parts)))

    def _bars(self) -> str:
        named = dict.fromkeys(name for r in self.values() for name in r.scores.get("this", {}))
        charts = [
            _charts.bars(name, "", {run: r.scores["this"][name] for run, r in self.items()})
            for name in named
            if all(name in report.scores.get("this", {}) for report in self.values())
        ]
        sizes = {run: report.sizes.total("smallest") / 1e3 for run, report in self.items()}
        charts.append(_charts.bars("bytes, smallest format", "kB", sizes))
        work = {r: one.flops.effective / 1e3 for r, one in self.items() if one.flops}
        if work:
            charts.append(_charts.bars("effective FLOPs", "kFLOP", work))
        for who, title in {"this": "latency", "fast": "latency, accelerated"}.items():
            timed = {run: r.latency[who] for run, r in self.items() if who in r.latency}
            if not timed:
                continue
            medians = {run: found.median * 1e3 for run, found in timed.items()}
            ends = {run: found.quartiles for run, found in timed.items()}
            spreads = {run: (low * 1e3, high * 1e3) for run, (low, high) in ends.items()}
            charts.append(_charts.bars(f"{title}: median and quartiles", "ms", medians, spreads))
        return "".join(charts)

    def _curves(self) -> str:
        charts = "".join(_charts.curves({run: report.history for run, report in self.items()}))
        if not charts:
            return ""
        return f'<section><h2>Training</h2><div class="charts">{charts}</div></section>'


def compare_runs(reports: Mapping[str, Report]) -> Comparison:
    """Lays reports side by side, in the order given.

    Args:
        reports: Name, as it will be shown, to report.

    Raises:
        TargetError: There is nothing to compare.
    """
    if not reports:
        raise TargetError("compare_runs() takes at least one report, by name; found none.")
    return Comparison(reports)


def _score(report: Report, name: str) -> str:
    found = report.scores.get("this", {}).get(name)
    return show.NOTHING if found is None else show.value(found)


def _file(report: Report) -> str:
    return show.NOTHING if report.file_bytes is None else show.size(report.file_bytes)


def _flops(report: Report) -> str:
    return show.NOTHING if report.flops is None else show.work(report.flops.effective)


def _latency(report: Report, who: str = "this") -> str:
    return show.duration(report.latency[who].median) if who in report.latency else show.NOTHING


_COLUMNS: dict[str, Callable[[Report], str]] = {
    "sparsity": lambda report: show.percent(report.counts.sparsity),
    "kept": lambda report: show.count(report.counts.kept),
    "nonzero": lambda report: show.count(report.counts.nonzero),
    "smallest": lambda report: show.size(report.sizes.total("smallest")),
    "on disk": _file,
    "effective": _flops,
    "latency": _latency,
    "accelerated": lambda report: _latency(report, "fast"),
    "state": lambda report: report.state,
}

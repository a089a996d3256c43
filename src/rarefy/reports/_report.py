"""What is known about a sparse model, and every way to look at it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from rarefy.metrics import Counts, Dead, Flops, Latency, Sizes
from rarefy.reports import _as_dict, _notebook, _page, _rich, _text
from rarefy.reports._histogram import Histogram
from rarefy.reports._picture import Picture
from rarefy.reports._storage import Storage
from rarefy.reports._training import Training

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A snapshot: what the model does later does not change it. Made by :func:`report`.

    ``print(report)`` gives the numbers and a table, a notebook shows them by itself,
    :meth:`to_dict` gives them to a program, :meth:`html` writes the page with the pictures.
    """

    name: str
    """Class of the model, or name of the file or folder."""
    kind: str
    """``"model"``, ``"file"`` or ``"run"``."""
    state: str
    """``"dense"``: nothing is removed. ``"masked"``: zeros are stored dense, nothing is saved.
    ``"compressed"``: what lives alone is there; ``"partly compressed"``: of some weights."""
    meaning: str
    """The state in a sentence."""
    counts: Counts
    sizes: Sizes
    dead: dict[str, Dead] = field(default_factory=dict)
    flops: Flops | None = None
    latency: dict[str, Latency] = field(default_factory=dict)
    """``"this"`` and, where they were given, ``"dense"``, the reference, and ``"fast"``, what
    ``rarefy.accelerate`` made of it; timed in turns."""
    accelerated: tuple[Mapping[str, Any], ...] = ()
    """Of each weight of the fast model: ``name, density, kernel, dense`` and ``sparse`` seconds,
    ``kept`` and ``why``."""
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    """``"this"`` and ``"dense"``, each what ``evaluate`` said."""
    method: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    """Score, pattern, allocation, when and growth of the method."""
    step: int | None = None
    """Optimizer steps so far."""
    history: tuple[Mapping[str, float], ...] = ()
    """Records of the run, each with ``step``."""
    file_bytes: int | None = None
    """Size of the file on disk, where the subject has one."""
    dense_bytes: int | None = None
    """Size of the dense reference in memory, where one was given."""
    storage: Mapping[str, Storage] = field(default_factory=dict)
    """Of each weight of a file: how it is stored, and what it would take in every format."""
    training: Training | None = None
    """What training holds and costs, of a Sparsifier that is attached."""
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    """What is not in this report, and why."""

    def __str__(self) -> str:
        return _text.text(self)

    def __repr__(self) -> str:
        counts = self.counts
        return (
            f"Report({self.name}, {self.state}, {counts.kept:,} of {counts.size:,} weights kept; "
            "print() it, or write its page with .html(path))"
        )

    def table(self) -> "Table":
        """The same as ``print`` shows, as a table of the rich library, for a terminal."""
        return _rich.table(self)

    def _repr_html_(self) -> str:
        return _notebook.html(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the mask pictures, as plain data that ``json.dumps`` takes.

        What is not known is None; so is a number that is not finite. Keys:

        - ``format`` 1; ``name``, ``kind``, ``state``, ``meaning``, ``method``, ``words``, ``step``
        - ``totals``: ``size, kept, nonzero, sparsity`` of the targets, ``parameters,
          parameters_nonzero, parameters_sparsity`` of everything
        - ``weights``: one entry a weight, with ``name, names, shape, size, kept, nonzero, sparsity,
          pattern, target, bytes, flops, dead, histogram, storage``; of a file ``storage`` has its
          ``format`` and ``bytes`` in it, and the bytes in all ``formats``, the ``least`` possible,
          the ``smallest`` format, and from which ``next_sparsity`` on the ``next`` one would be
        - ``bytes``: the model with its targets ``dense, bitmask, delta, csr, coo, smallest``; of
          it ``rest``, what is no target; ``file`` on disk; ``reference``, the dense reference
        - ``flops``: ``dense, effective, other, batch, not_counted``; a multiply-add is 2
        - ``latency``: ``this``, ``dense`` and ``fast``, each ``median, lower, upper`` in seconds,
          ``rounds, threads, batch``; ``times_as_fast`` as dense, and ``fast_times_as_fast`` as
          dense or, without a dense reference, as this: ``lower, median, upper`` of pairs
        - ``accelerated``: a row a weight, as ``explain()`` of the fast model gives it
        - ``training``: ``storage``, whether it is ``simulated``, ``bytes`` of weights, topology,
          gradients and state, ``flops`` as pairs of step and multiple of dense, and what a meter
          saw, ``metered``, in seconds and bytes
        - ``scores``: ``this`` and ``dense``; ``history``; ``absent``: what is missing, and why
        """
        return _as_dict.as_dict(self)

    def html(self, path: "str | PathLike[str]", *, exact: int = _page.EXACT) -> None:
        """Writes one page that needs nothing else: it works offline and can be sent around.

        Args:
            path: File to write; replaced as a whole, or not at all.
            exact: Most weights that the page holds one by one, for a closer look at the masks;
                smaller weights first. Larger masks are shown averaged only, and the page says so.

        Raises:
            MissingExtra: The plotting library is not installed.
        """
        _page.write(path, _page.page(self, exact=exact))

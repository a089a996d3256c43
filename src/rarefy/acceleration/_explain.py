"""What ``model.explain()`` gives: what runs sparse, how fast, and why the rest does not."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from torch import nn

from rarefy.acceleration._swap import RECORD, is_root
from rarefy.acceleration._table import headline, layer_table, left_table, plain
from rarefy.errors import AttachError

if TYPE_CHECKING:
    from rich.console import RenderableType


class Explanation:
    """The record of an accelerated model, to read: ``print`` it, or take :meth:`to_dict`."""

    def __init__(self, record: dict[str, Any]) -> None:
        self._record = record

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, times in seconds.

        ``layers`` has a row a weight: its ``name``, ``density``, the ``kernel`` that runs it,
        seconds ``dense`` and ``sparse``, whether sparse was ``kept``, and ``why``. ``time`` is
        that of whole calls: ``dense``, ``fast``, and the ``share`` of it that ran sparse; ``flops``
        says the same of FLOPs. ``uncaptured`` names modules that run their own code, and why.
        """
        return copy.deepcopy(self._record)

    def __str__(self) -> str:
        head = headline(self._record)
        wide = max(len(word) for word, _ in head)
        lines = [f"{word.ljust(wide)}  {what}" for word, what in head]
        lines += ["", plain(*layer_table(self._record))]
        columns, rows = left_table(self._record)
        if rows:
            lines += ["", "Not captured, so these run their own code:", plain(columns, rows)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        layers = self._record["layers"]
        kept = sum(row["kept"] for row in layers)
        return f"<Explanation: {kept} of {len(layers)} weights run sparse; print it to read it>"

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column()
        for word, what in headline(self._record):
            grid.add_row(Text(word), Text(what))
        parts: list[RenderableType] = [grid, _rich(*layer_table(self._record))]
        columns, rows = left_table(self._record)
        if rows:
            parts += [Text("Not captured, so these run their own code:"), _rich(columns, rows)]
        return Group(*parts)


def _rich(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> RenderableType:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(Text(column), overflow="fold")
    for cells in rows:
        drawn.add_row(*(Text(cell) for cell in cells))
    return drawn


def explanation(model: nn.Module, *, break_even: bool = False) -> Explanation:
    """The explanation of an accelerated model.

    Args:
        model: What :func:`rarefy.accelerate` gave, or a copy of it.
        break_even: Also find, for each layer, the sparsity from which on sparse wins here. That
            times the layer at several densities, unless it is known from before.

    Raises:
        AttachError: The model is no accelerated one.
    """
    if not is_root(model):
        raise AttachError(
            f"{type(model).__name__} is no accelerated model: only what rarefy.accelerate gave "
            "can be explained."
        )
    record: dict[str, Any] = copy.deepcopy(vars(model)[RECORD])
    if break_even:
        from rarefy.acceleration._break_even import add_break_even

        add_break_even(record)
    return Explanation(record)

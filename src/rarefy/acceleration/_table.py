"""The record of an accelerated model in rows of words."""

from __future__ import annotations

from typing import Any

Rows = list[tuple[str, ...]]


def headline(record: dict[str, Any]) -> list[tuple[str, str]]:
    """A word and what there is to say of it, line by line."""
    time, flops, size = record["time"], record["flops"], record["bytes"]
    kept = sum(row["kept"] and row["kernel"].startswith("sparse") for row in record["layers"])
    threads = f"{record['threads']} thread{'s' if record['threads'] > 1 else ''}"
    lines = [
        ("runs sparse", f"{kept} of {len(record['layers'])} weights, goal {record['goal']}"),
        (
            "whole call",
            f"{_ms(time['fast'])} ms, dense {_ms(time['dense'])} ms: "
            f"{time['dense'] / time['fast']:.2f}x ({threads}, batch {record['batch']})",
        ),
        (
            "time",
            f"{time['share']:.0%} in sparse layers ({_ms(time['sparse'])} ms), the rest "
            f"{_ms(time['rest'])} ms; both are {time['adds_up_to']:.0%} of the whole call",
        ),
        (
            "FLOPs",
            f"{flops['share']:.0%} of {flops['dense'] / 1e6:.4g} M are in sparse layers, which "
            f"skip {flops['skipped'] / 1e6:.4g} M",
        ),
        ("memory", _memory(size)),
        ("kernels", record["kernels"]),
    ]
    if record["accuracy"] is not None:
        lines.append(("accuracy", _accuracy(record)))
    if record["goal"] == "memory":
        price = time["fast"] - time["dense"]
        word = f"{_ms(price)} ms a call slower" if price > 0 else "none: it is faster too"
        lines.append(("price", word))
    return lines + [("note", note) for note in record["notes"]]


def _memory(size: dict[str, int]) -> str:
    told = f"{_mb(size['parameters'])} of parameters, {_mb(size['packed'])} packed"
    if size["let_go"]:
        told += f"; {_mb(size['let_go'])} of dense weights let go"
    return told


def _accuracy(record: dict[str, Any]) -> str:
    cost = record["accuracy"]
    told = (
        f"{record['precision']}: relative error {cost['relative_error']:.2%}, largest of a batch "
        f"{cost['largest_error']:.2%} ({cost['batches']:.0f} batches)"
    )
    if "same_choice" in cost:
        told += f"; same choice at {cost['same_choice']:.2%} of the positions"
    return told


def layer_table(record: dict[str, Any]) -> tuple[tuple[str, ...], Rows]:
    """Columns, and a row a weight."""
    with_break_even = any("break_even" in row for row in record["layers"])
    columns = ("layer", "density", "kernel", "dense ms", "sparse ms", "kept", "chain", "why")
    rows: Rows = []
    for row in record["layers"]:
        cells = (
            str(row["name"]),
            f"{row['density']:.3f}",
            str(row["kernel"]),
            _ms(row["dense"]),
            _ms(row["sparse"]),
            "yes" if row["kept"] else "no",
            "" if row["chain"] is None else str(row["chain"]),
            str(row["why"]),
        )
        rows.append((*cells[:3], _break_even(row), *cells[3:]) if with_break_even else cells)
    if with_break_even:
        return (*columns[:3], "wins from", *columns[3:]), rows
    return columns, rows


def _break_even(row: dict[str, Any]) -> str:
    found = row.get("break_even")
    if found is None:
        return ""
    return "nowhere" if found >= 1 else f"{found:.0%} zeros"


def left_table(record: dict[str, Any]) -> tuple[tuple[str, ...], Rows]:
    """Columns, and a row for each module that was not captured."""
    rows: Rows = [
        (str(row["module"] or "(model)"), str(row["class"]), str(row["why"]))
        for row in record["uncaptured"]
    ]
    return ("module", "class", "why"), rows


def plain(columns: tuple[str, ...], rows: Rows) -> str:
    """Columns set with blanks."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    lines = [columns, tuple("─" * width for width in widths), *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in lines
    )


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.4g}"


def _mb(size: int) -> str:
    return f"{size / 1e6:.3g} MB"

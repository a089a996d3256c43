"""What these benchmarks find: bars, rows and the machine as JSON, and the tables made from it."""

import argparse
import importlib.util
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rarefy.lab import speed

RESULTS = Path(__file__).parents[1] / "results"
_BARS = Path(__file__).parents[1] / "speed" / "bars.py"
Rows = list[dict[str, Any]]


def _bars() -> Any:  # noqa: ANN401 - the module that judges the other bars too
    if "speed_bars" not in sys.modules:
        spec = importlib.util.spec_from_file_location("speed_bars", _BARS)
        module = importlib.util.module_from_spec(spec)
        sys.modules["speed_bars"] = module
        spec.loader.exec_module(module)
    return sys.modules["speed_bars"]


def bar(name: str, wanted: float, *, below: bool = False) -> Any:  # noqa: ANN401 - a Bar
    """A number that is wanted at least, or at most where ``below``; ``add`` cells to it."""
    return _bars().Bar(name, wanted, below)


def options(about: str) -> argparse.ArgumentParser:
    """The options that every one of these commands has."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="for each time measured")
    parser.add_argument("--rounds", type=int, default=7, help="turns it is split into")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="one after another")
    parser.add_argument("--quick", action="store_true", help="little of it, not for a claim")
    parser.add_argument("--table", action="store_true", help="only print what is stored")
    parser.add_argument("--out", type=Path, help="write the JSON there instead")
    return parser


def main(
    name: str, about: str, run: Callable[[argparse.Namespace], tuple[list[Any], Rows]]
) -> None:
    """A command: measure, print the tables, store everything with the machine it was found on."""
    given = options(about).parse_args()
    path = given.out or RESULTS / f"training_{name}.json"
    if given.table:
        print(tables(json.loads(path.read_text(encoding="utf-8"))))
        return
    machine = speed.machine()
    bars, rows = run(given)
    content = {
        "command": " ".join(["python", f"benchmarks/training/{name}.py", *sys.argv[1:]]),
        "machine": machine,
        "bars": [_finite(each.judged()) for each in bars],
        "rows": rows,
    }
    print(tables(content))
    if machine["busy"]:
        print(f"\nThe machine was busy (load {machine['load']:.1f}): preliminary numbers.")
    if given.quick and given.out is None:
        print("\nNothing is written: --quick is not for claims (--out writes).")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"\n{path}")


def _finite(bar: dict[str, Any]) -> dict[str, Any]:
    """A bar as JSON holds it: nothing where a cell is 0 and so met infinitely well."""
    return {k: None if isinstance(v, float) and math.isinf(v) else v for k, v in bar.items()}


def tables(content: Mapping[str, Any]) -> str:
    """The bars, then every row, in Markdown."""
    bars = ["| bar | wanted | median | worst cell | met |", "|---|---|---|---|---|"]
    for each in content["bars"]:
        sign = "<=" if each["at_most"] else ">="
        cell = each["worst_cell"]
        worst = "–" if cell is None else f"{_shown(each['cells'][cell])} ({cell})"  # noqa: RUF001
        met = {True: "yes", False: "no", None: "–"}[each["met"]]  # noqa: RUF001
        bars.append(
            f"| {each['bar']} | {sign} {each['wanted']:g} | {_shown(each['median'])} "
            f"| {worst} | {met} |"
        )
    return "\n".join([*bars, "", *table(content["rows"])])


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows of plain data as Markdown, a column for each key that any of them has."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"| {' | '.join(keys)} |", "|---" * len(keys) + "|"]
    lines += [f"| {' | '.join(_shown(row.get(key)) for key in keys)} |" for row in rows]
    return lines


def row_of(times: Any, **words: Any) -> dict[str, Any]:  # noqa: ANN401 - a Times; plain data
    """One row: milliseconds of a step with quartiles, and the share of it by part."""
    found = times.plain()
    if "refused" in found:
        return {**words, "note": found["refused"]}
    whole = sum(found["parts"].values()) or 1.0
    return {
        **words,
        "ms": 1e3 * found["median"],
        "lower": 1e3 * found["lower"],
        "upper": 1e3 * found["upper"],
        "steps": found["steps"],
        "off": found["off"],
        **{f"{part}, %": 100 * seconds / whole for part, seconds in found["parts"].items()},
    }


def _shown(value: Any) -> str:  # noqa: ANN401 - plain data
    if value is None:
        return "–"  # noqa: RUF001 - the dash of a table
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def progress(words: Iterable[object]) -> None:
    """One line on stderr, so that a long run is seen to go on."""
    print(*words, file=sys.stderr, flush=True)

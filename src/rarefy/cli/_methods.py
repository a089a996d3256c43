"""``rarefy methods``: every method by name, and the five words it is made of."""

import inspect
import re
from types import ModuleType

from rarefy import allocation, growth, scores
from rarefy import methods as named_methods
from rarefy.cli._output import AsJson, drawn, say, say_json
from rarefy.growth import Growth

EXAMPLE = "Example: [bold]rarefy train digits rigl 0.9 --set growth=momentum[/bold]"

_PATTERNS = ["unstructured", "row", "column", "n:m (as 2:4)", "block RxC (as 'block 4x1')"]
_TRIGGERS = ["once", "every 100 until 75%", "every from 25% until 75%"]


def methods(as_json: AsJson = False) -> None:
    """List the methods: what each scores, keeps as one, allots, when it acts, how it regrows."""
    found = {name: _method(name) for name in named_methods.__all__}
    by_name = {name.rstrip("_"): content for name, content in found.items()}
    words = _words()
    if as_json:
        say_json({"methods": by_name, "words": words})
        return
    columns = ("method", "start", "score", "pattern", "allocation", "when", "growth")
    rows = ([name, *(content[word] for word in columns[1:])] for name, content in by_name.items())
    say(drawn(columns, rows, words=columns))
    for name, content in by_name.items():
        say(f"{name}: {content['summary']}")
    say("", "Each word can be given beside the name, and a score's name is a method too:")
    for word, known in words.items():
        say(f"  {word}: {', '.join(known)}")


def _method(name: str) -> dict[str, str]:
    make = getattr(named_methods, name)
    method = make()
    summary = (inspect.getdoc(make) or "").split("\n\n")[0].replace("\n", " ")
    return {"summary": summary, "start": method.start, **method.words}


def _words() -> dict[str, list[str]]:
    return {
        "score": _functions(scores),
        "pattern": _PATTERNS,
        "allocation": [*_functions(allocation), "REGEX=SPARSITY"],
        "when": _TRIGGERS,
        "growth": [
            name.lower().rstrip("_")
            for name in growth.__all__
            if inspect.isclass(part := getattr(growth, name))
            and issubclass(part, Growth)
            and part is not Growth
        ],
    }


def _functions(room: ModuleType) -> list[str]:
    named = [name for name in room.__all__ if inspect.isfunction(getattr(room, name))]
    return [re.sub(r"_$", "", name) for name in named]

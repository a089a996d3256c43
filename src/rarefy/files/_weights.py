"""Which tensors of a file are weights, and their matrix view, from names and shapes alone."""

import difflib
import fnmatch
from collections.abc import Mapping, Sequence

from rarefy.errors import TargetError
from rarefy.files._dtypes import DTYPES
from rarefy.files._header import Record
from rarefy.files._json import brief
from rarefy.targets import Target

Names = str | Sequence[str] | None

_LAST = ("weight", "in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
_RECURRENT = ("weight_ih", "weight_hh", "weight_hr")
_NEVER = ("embed", "norm")
"""Anywhere in a name: an embedding, a norm."""
_NEVER_LAYERS = ("wte", "wpe", "shared", "relative_attention_bias")
"""As the name of a layer: the embeddings of GPT-2 and T5."""


def weights_among(
    records: Mapping[str, Record], only: Names = None, skip: Names = None
) -> dict[str, Target]:
    """The tensors that are pruned, by name.

    Without ``only``: floating, of two sides or more, called ``weight``, ``in_proj_weight``,
    ``weight_ih*`` or ``weight_hh*``, and by their name neither embedding nor norm.

    Args:
        records: What the file holds.
        only: Names, globs, or names of parts of the model; takes any floating tensor of two sides
            or more.
        skip: What to leave out, said in the same ways.

    Raises:
        TargetError: A choice finds nothing, or nothing is left.
    """
    able = [key for key, record in records.items() if _able(record)]
    chosen = [key for key in able if _usual(key)] if only is None else _hits(able, only, "only")
    left_out = [] if skip is None else _hits(able, skip, "skip")
    targets = {
        key: _target(key, records)
        for key in able
        if key in set(chosen) and key not in set(left_out)
    }
    if not targets:
        raise TargetError(
            "no tensor of the file is a weight to prune: floating, of two sides or more, its name "
            f"ending in 'weight', no embedding, no norm. Name some with only=. {_have(able)}"
        )
    return targets


def _able(record: Record) -> bool:
    floating = DTYPES[record.dtype].is_floating_point
    return floating and len(record.shape) >= 2 and record.size > 0


def _usual(key: str) -> bool:
    *parts, last = key.lower().split(".")
    if last not in _LAST and not last.startswith(_RECURRENT):
        return False
    return parts[-1:] not in [[name] for name in _NEVER_LAYERS] and not any(
        part.startswith("ln_") or any(word in part for word in _NEVER) for part in parts
    )


def _hits(able: Sequence[str], choices: str | Sequence[str], word: str) -> list[str]:
    found: list[str] = []
    for choice in [choices] if isinstance(choices, str) else choices:
        hit = [key for key in able if _hit(key, choice)]
        if not hit:
            near = difflib.get_close_matches(choice, able, n=1, cutoff=0.4)
            hint = f" Did you mean {brief(near[0])}?" if near else ""
            raise TargetError(f"{word}={choice!r} finds no weight in the file.{hint} {_have(able)}")
        found += hit
    return found


def _hit(key: str, choice: str) -> bool:
    parents = [key[:i] for i, letter in enumerate(key) if letter == "."]
    return any(fnmatch.fnmatchcase(name, choice) for name in (*parents, key))


def _have(able: Sequence[str]) -> str:
    if not able:
        return "It has no floating tensor of two sides or more."
    more = f", and {len(able) - 8} more" if len(able) > 8 else ""
    return f"It has: {', '.join(brief(key) for key in able[:8])}{more}."


def _target(key: str, records: Mapping[str, Record]) -> Target:
    holder, _, own = key.rpartition(".")
    groups = 3 if own == "in_proj_weight" else _gates(key, own, records)
    return Target(key, (key, *records[key].aliases), holder, records[key].shape, groups)


def _gates(key: str, own: str, records: Mapping[str, Record]) -> int:
    # The recurrent weight of the same layer is gates * hidden x hidden; with a projection its
    # sides do not say how many gates there are, and the blocks are then taken as one.
    if not own.startswith(("weight_ih", "weight_hh")):
        return 1
    square = records.get(key.removesuffix(own) + own.replace("weight_ih", "weight_hh"))
    if square is None or len(square.shape) != 2 or not square.shape[1]:
        return 1
    gates, rest = divmod(square.shape[0], square.shape[1])
    whole = not rest and gates in (3, 4) and records[key].shape[0] == square.shape[0]
    return gates if whole else 1

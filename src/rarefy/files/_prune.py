"""Pruning files without the model's code: weights by name, scores from the weights alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from rarefy._apportion import count_of
from rarefy._types import Allocation, Score
from rarefy.errors import BudgetError, PatternError
from rarefy.files._folder import job_of
from rarefy.files._header import Record
from rarefy.files._joined import Joined, Matrices
from rarefy.files._read import read
from rarefy.files._weights import Names, weights_among
from rarefy.files._words import allocation_of, score_of
from rarefy.files._write import write_sparse
from rarefy.formats import pack_bits
from rarefy.patterns import Pattern, Unstructured
from rarefy.selection import asked, choose
from rarefy.targets import Target


@dataclass(frozen=True, slots=True)
class Pruned:
    """What :func:`prune_file` did."""

    destination: Path
    weights: dict[str, Record]
    """Each pruned weight as it is stored now; ``kept`` of ``size`` are left."""
    left_alone: tuple[str, ...]
    """Every other tensor."""
    bytes_before: int
    """Of the files that were read."""
    bytes_after: int
    """Of the files that were written in their place."""

    @property
    def size(self) -> int:
        """Weights in all pruned tensors."""
        return sum(record.size for record in self.weights.values())

    @property
    def kept(self) -> int:
        """Weights kept in them."""
        return sum(record.kept for record in self.weights.values())

    @property
    def sparsity(self) -> float:
        """Share of them that is removed."""
        return 1 - self.kept / self.size


def prune_file(
    source: str | Path,
    sparsity: float | str,
    destination: str | Path,
    *,
    score: str | Score = "magnitude",
    pattern: str | Pattern | None = None,
    allocation: str | Allocation | Mapping[str, float] = "global",
    only: Names = None,
    skip: Names = None,
    seed: int = 0,
) -> Pruned:
    """Prune the weights of a safetensors file, or of a folder of them, into another.

    No code of the model is needed. In memory are a byte a weight while masks are chosen, then what
    is stored of one file at a time. All files of a folder are one model: weights compete across
    them. What a rarefy file has removed already stays removed. Without a model, transposed
    convolutions and GPT-2's Conv1D are taken as they lie, which matters to patterns other than
    single weights.

    Args:
        source: A file, or a folder; its index, if it has one, says which files are the model.
        sparsity: Share of the weights removed, in [0, 1), or a pattern that fixes it: "2:4".
        destination: A file, replaced if it is there (it may be ``source``); for a folder a new
            folder, into which the other files are copied and its index is written anew. Written
            whole or not at all, in rarefy's format; :func:`to_dense` makes an ordinary file of it.
        score: A name of ``rarefy.scores``, or a function, that needs nothing but the weight.
        pattern: What lives or dies as one, such as "block 4x1".
        allocation: How much per weight: a name, a function, or regular expression to sparsity.
        only: Names or globs to take. Without it: what is floating, of two sides or more, and
            called weight, but is no embedding and no norm by its name.
        skip: Names or globs to leave out.
        seed: For scores that draw numbers.

    Raises:
        RarefyError: Something does not fit, or cannot be read or written; nothing is left behind.
    """
    words = asked(sparsity, pattern), score_of(score), allocation_of(allocation)
    job = job_of(Path(source))
    model = Joined({path: read(path) for path in job.sources})
    targets = weights_among(model.records, only, skip)
    masks = _masks(model, targets, *words, seed)
    written: dict[str, Record] = {}
    with job.into(Path(destination)) as places:
        for path, place in places.items():
            written |= _write(model, path, place, masks)
        after = sum(place.stat().st_size for place in places.values())
    pruned = {name: written[name] for name in targets}
    others = tuple(key for key in written if key not in targets)
    return Pruned(Path(destination), pruned, others, model.size, after)


def _masks(
    model: Joined,
    targets: Mapping[str, Target],
    words: tuple[float | None, Pattern | None],
    score: Score,
    allocation: Allocation,
    seed: int,
) -> dict[str, Tensor]:
    """Packed masks, shaped like the weights."""
    sparsity, pattern = words
    pattern = pattern or Unstructured()
    held = bool(model.masked & set(targets))
    if held and sparsity is not None:
        _refuse_growth(model, targets, sparsity, pattern)
    chosen = choose(
        {"weight": Matrices(model.tensor, targets)},
        shapes={name: target.sides for name, target in targets.items()},
        sparsity=sparsity,
        score=score,
        pattern=pattern,
        allocation=allocation,
        seed=seed,
        among=Matrices(model.mask, targets) if held else None,
    )
    # One after the other, so that masks of a byte a weight make room for those of a bit.
    return {name: pack_bits(targets[name].restore(chosen.pop(name))) for name in list(chosen)}


def _refuse_growth(
    model: Joined, targets: Mapping[str, Target], sparsity: float, pattern: Pattern
) -> None:
    if pattern.density is not None:
        return
    living = size = 0
    for name, mask in Matrices(model.mask, targets).items():
        try:
            units = pattern.unit_scores(mask.float())
        except PatternError as error:
            raise PatternError(f"{name}: {error}") from None
        living += int((units > 0).sum())
        size += units.numel()
    if count_of(sparsity, size) > living:
        raise BudgetError(
            f"a sparsity of {sparsity:g} is absolute, and {1 - living / size:.4f} is removed "
            "already. Pruning only removes: ask for more, or start again from the dense file."
        )


def _write(
    model: Joined, path: Path, place: Path, masks: Mapping[str, Tensor]
) -> dict[str, Record]:
    contents = model.files[path]
    sources = {key: model.source(key, masks) for key in contents.records}
    return write_sparse(place, sources, "one_shot", contents.metadata)

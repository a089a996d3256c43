"""What a run looked like: one record a step that was worth one."""

from collections.abc import Mapping

from torch import Tensor

from rarefy.errors import ScoreError


class History(list[dict[str, float]]):
    """Records in the order of their steps; each has ``step`` and whatever was known then."""

    def note(self, step: int, /, **numbers: float) -> None:
        """Add numbers to the record of ``step``."""
        if not self or self[-1]["step"] != step:
            self.append({"step": step})
        self[-1].update(numbers)

    def restore(self, records: list[Mapping[str, float]]) -> None:
        """Take over saved records instead of these."""
        self[:] = [dict(record) for record in records]


def as_numbers(given: Mapping[str, object]) -> dict[str, float]:
    """Plain floats from numbers and one-element tensors.

    Raises:
        ScoreError: Something is no number.
    """
    if "step" in given:
        raise ScoreError("log() writes at sparsifier.step: give your own count another name.")
    numbers = {}
    for name, value in given.items():
        try:
            plain = value.detach() if isinstance(value, Tensor) else value
            numbers[name] = float(plain)  # type: ignore[arg-type]  # the except is the check
        except (TypeError, ValueError, RuntimeError) as error:
            raise ScoreError(
                f"log({name}=...) takes a number; found {type(value).__name__} {value!r}"
            ) from error
    return numbers

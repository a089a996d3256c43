"""Steps at which to choose anew."""

from dataclasses import dataclass

from rarefy.errors import ScheduleError


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """Each ``steps``-th step after ``start`` and up to ``until``."""

    steps: int
    until: int
    start: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 <= self.start <= self.until:
            raise ScheduleError(
                "an interval needs steps >= 1 and 0 <= start <= until; "
                f"found steps={self.steps}, start={self.start}, until={self.until}"
            )

    def __call__(self, step: int) -> bool:
        """Whether to choose anew after ``step`` optimizer steps."""
        return self.start < step <= self.until and (step - self.start) % self.steps == 0

    @property
    def times(self) -> int:
        """How often it comes due."""
        return (self.until - self.start) // self.steps

    def __str__(self) -> str:
        start = f" from {self.start}" if self.start else ""
        return f"every {self.steps}{start} until {self.until}"


def interval(steps: int) -> int:
    """Steps between two choices where nobody says: 100 in runs of 5,000 steps and more.

    Shorter runs get a fiftieth of their steps, five at least, so that about as many choices are
    made. Evci et al., "Rigging the Lottery", 2020, use 100 on long runs.

    >>> interval(32_000), interval(1_000), interval(60)
    (100, 20, 5)
    """
    return min(100, max(5, steps // 50))

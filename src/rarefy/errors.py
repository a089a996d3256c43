"""Every error the library raises on purpose, in one tree.

RarefyError
├── UnknownName        a name that no room, file or command knows
├── TargetError        the model has no such weight, or the weight cannot be sparsified
├── BudgetError        a sparsity or a count that cannot be met
├── PatternError       a pattern that does not exist or does not fit a weight
├── ScheduleError      a schedule that does not fit into the steps there are
├── EvidenceError      a score needs something that was not given or not collected
├── ScoreError         a score, a weight or a gradient is not a number
├── AttachError        a model or optimizer that cannot be attached now
├── InvariantError     zeros, counts, steps or ranks that no longer agree
├── StateError         a saved state that does not fit this Sparsifier
├── FileError          a file that is damaged, hostile, or made for another model
└── MissingExtra       an optional package that is not installed

Each message says what happened, where, what was found, what was wanted, and the way out.
"""


class RarefyError(Exception):
    """Base of all errors below; catch this to catch them all."""


class UnknownName(RarefyError, LookupError):  # noqa: N818 - reads as the sentence it prints
    """A name that no room, file or command knows."""


class TargetError(RarefyError, LookupError):
    """The model has no such weight, or the weight cannot be sparsified."""


class BudgetError(RarefyError, ValueError):
    """A sparsity or a count that cannot be met."""


class PatternError(RarefyError, ValueError):
    """A pattern that does not exist, or that does not fit a weight."""


class ScheduleError(RarefyError, ValueError):
    """A schedule that does not fit into the steps there are."""


class EvidenceError(RarefyError, LookupError):
    """A score needs something that was not given or not collected."""


class ScoreError(RarefyError, ValueError):
    """A score, a weight or a gradient is not a number."""


class AttachError(RarefyError, RuntimeError):
    """A model or an optimizer that cannot be attached now."""


class InvariantError(RarefyError, RuntimeError):
    """Zeros, counts, steps or ranks that no longer agree."""


class StateError(RarefyError, ValueError):
    """A saved state that does not fit this Sparsifier."""


class FileError(RarefyError, ValueError):
    """A file that is damaged, hostile, or made for another model."""


class MissingExtra(RarefyError, ImportError):  # noqa: N818 - names the thing that is missing
    """An optional package that is not installed."""

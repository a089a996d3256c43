"""One tree: every error is caught by its base and by the builtin that it reads as."""

import inspect

import pytest

from rarefy import errors

BUILTIN = {
    "UnknownName": LookupError,
    "TargetError": LookupError,
    "BudgetError": ValueError,
    "PatternError": ValueError,
    "ScheduleError": ValueError,
    "EvidenceError": LookupError,
    "ScoreError": ValueError,
    "AttachError": RuntimeError,
    "InvariantError": RuntimeError,
    "StateError": ValueError,
    "FileError": ValueError,
    "MissingExtra": ImportError,
}
every_error = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if value.__module__ == errors.__name__
]


def test_the_tree_is_the_one_in_the_docstring():
    listed = {e.__name__ for e in every_error} - {"RarefyError"}
    assert listed == set(BUILTIN)
    assert all(f"── {name} " in errors.__doc__ for name in listed)


@pytest.mark.parametrize("error", every_error)
def test_the_base_catches_it(error):
    assert issubclass(error, errors.RarefyError)
    assert error.__doc__


@pytest.mark.parametrize(("name", "builtin"), BUILTIN.items())
def test_the_builtin_catches_it(name, builtin):
    with pytest.raises(builtin, match="said plainly"):
        raise getattr(errors, name)("said plainly")

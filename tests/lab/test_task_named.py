"""Tasks by name."""

import pytest

from rarefy.errors import FileError, UnknownName
from rarefy.lab import task_named


@pytest.mark.parametrize("name", ["digits", " Digits "])
def test_digits_need_nothing(name):
    assert task_named(name).name == "digits"


def test_fashion_is_looked_for_where_it_is_said_to_be(tmp_path):
    with pytest.raises(FileError, match=str(tmp_path)):
        task_named("fashion", path=tmp_path)


@pytest.mark.parametrize("given", [{"path": "."}, {"download": True}])
def test_embedded_data_have_no_folder(given):
    with pytest.raises(UnknownName, match="come with a package"):
        task_named("digits", **given)


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(UnknownName, match=r"Did you mean 'fashion'.*digits, fashion"):
        task_named("fasion")

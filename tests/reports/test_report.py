"""The Report itself."""

from dataclasses import FrozenInstanceError

import pytest


def test_its_short_form_names_the_state(full):
    assert repr(full).startswith("Report(Sequential, masked, 15 of 60 weights kept")


def test_it_cannot_be_changed(full):
    with pytest.raises(FrozenInstanceError):
        full.name = "other"

"""A table as plain text."""

from rarefy.lab import Table


def test_columns_are_as_wide_as_their_widest_cell():
    table = Table(("method", "kept", "µs"), (("dense", "1,000", "9"), ("rigl", "100", "12")))
    assert str(table).splitlines() == [
        "method   kept  µs",
        "dense   1,000   9",
        "rigl      100  12",
    ]


def test_a_table_without_rows_is_its_columns():
    assert str(Table(("a", "b"), ())) == "a  b"

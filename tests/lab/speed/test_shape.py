"""Shapes as they are typed."""

import pytest

from rarefy.errors import UnknownName
from rarefy.lab.speed import Shape, shape_of


@pytest.mark.parametrize(
    ("text", "shape", "rows"),
    [
        ("768x3072", Shape(768, 3072), "tokens"),
        ("64x32x3x3@56", Shape(64, 32, 3, 56), "images"),
        ("8x4x1x1@7", Shape(8, 4, 1, 7), "images"),
    ],
)
def test_a_shape_is_read_and_written_alike(text, shape, rows):
    assert shape_of(text) == shape
    assert str(shape) == text
    assert shape.rows == rows


@pytest.mark.parametrize("text", ["768", "0x4", "4x4x3x1@8", "4x4x3x3", "4x4x3x3@0", "axb", ""])
def test_anything_else_is_refused(text):
    with pytest.raises(UnknownName, match=r"is no shape\. Write OUTPUTSxINPUTS"):
        shape_of(text)


def test_bytes_moved_are_those_of_input_and_output():
    assert Shape(6, 4).bytes_moved(10) == 4 * 10 * 10
    assert Shape(6, 4, 3, 5).bytes_moved(2) == 4 * 2 * 25 * 10


def test_its_case_builds_the_layer():
    case = Shape(6, 4, 3, 5).case(2, 0.5)
    model, example = case.build()
    assert case.name == "6x4x3x3@5, 2 images, 50%"
    assert case.sparsity == 0.5
    assert model(example).shape == (2, 6, 5, 5)
    model, example = Shape(6, 4).case(3, 0.0).build()
    assert model(example).shape == (3, 6)

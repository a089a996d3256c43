"""A convolution's geometry: sizes as torch has them, and one line that says all."""

import pytest
import torch
from torch.nn import functional

from rarefy.errors import PatternError
from rarefy.kernels import Geometry

GEOMETRIES = [
    Geometry((1, 1)),
    Geometry((3, 3), padding=(1, 1)),
    Geometry((3, 2), stride=(2, 3), padding=(0, 2)),
    Geometry((2, 3), dilation=(3, 1), padding=(4, 0)),
]


@pytest.mark.parametrize("known", GEOMETRIES, ids=Geometry.text)
def test_the_output_is_as_large_as_torch_makes_it(known):
    for sides in ((7, 9), (8, 8), (4, 5)):
        image = torch.zeros(1, 1, *sides)
        kernel = torch.zeros(1, 1, *known.kernel)
        wanted = functional.conv2d(image, kernel, None, known.stride, known.padding, known.dilation)
        assert known.image(sides) == wanted.shape[2:]


@pytest.mark.parametrize("known", GEOMETRIES, ids=Geometry.text)
def test_a_line_says_all(known):
    assert Geometry.of_text(known.text()) == known


def test_a_kernel_larger_than_the_image_is_refused():
    with pytest.raises(PatternError, match=r"reaches over 5 x 5 places .* 4 x 9"):
        Geometry((3, 3), dilation=(2, 2)).image((4, 9))

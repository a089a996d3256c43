"""What every pattern promises. A new one is tested by being exported; nothing is listed here."""

import inspect

import pytest
import torch

from rarefy import patterns
from rarefy.patterns import Pattern

NUMBERS = {"rows": 2, "columns": 4, "n": 2, "m": 4}
"""By parameter name, so that a new pattern is built without being listed."""
SHAPES = [(1, 4, 8, 1), (1, 8, 4, 9), (3, 4, 4, 1), (2, 4, 8, 5)]


def built(part):
    return part(**{name: NUMBERS[name] for name in inspect.signature(part).parameters})


every_pattern = pytest.mark.parametrize(
    "pattern",
    [
        built(part)
        for name in patterns.__all__
        if inspect.isclass(part := getattr(patterns, name)) and part is not Pattern
    ],
    ids=str,
)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def counts(pattern, size):
    density = pattern.density
    return [0, 1, size // 2, size] if density is None else [round(size * density)]


@every_pattern
@every_shape
def test_a_mask_keeps_exactly_the_count_in_whole_units(pattern, shape):
    torch.manual_seed(0)
    units = pattern.unit_scores(torch.randn(shape))
    for count in counts(pattern, units.numel()):
        kept = pattern.choose(units, count)
        mask = pattern.expand(kept, shape)
        assert mask.dtype is kept.dtype is torch.bool
        assert tuple(mask.shape) == shape
        assert kept.shape == units.shape
        assert int(kept.sum()) == count
        assert int(mask.sum()) == count * (mask.numel() // kept.numel())


@every_pattern
@every_shape
def test_units_go_out_and_come_back(pattern, shape):
    torch.manual_seed(0)
    units = torch.rand(pattern.unit_scores(torch.empty(shape)).shape, dtype=torch.float64)
    torch.testing.assert_close(pattern.unit_scores(pattern.expand(units, shape)), units)


@every_pattern
@every_shape
def test_a_unit_scores_the_mean_of_its_elements(pattern, shape):
    scores = torch.randn(shape, dtype=torch.float64)
    units = pattern.unit_scores(scores)
    number = torch.arange(units.numel()).reshape(units.shape)
    member = pattern.expand(number, shape)
    for each in (0, units.numel() // 2, units.numel() - 1):
        torch.testing.assert_close(units.flatten()[each], scores[member == each].mean())


@every_pattern
@every_shape
def test_a_size_is_told_from_the_shape_alone(pattern, shape):
    assert pattern.size(shape) == pattern.unit_scores(torch.empty(shape)).numel()


@every_pattern
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_the_dtype_stays(pattern, dtype):
    assert pattern.unit_scores(torch.randn(1, 4, 8, 1).to(dtype)).dtype is dtype


@every_pattern
@pytest.mark.parametrize("fill", [0.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.int64])
def test_ties_change_no_count(pattern, fill, dtype):
    units = pattern.unit_scores(torch.full((2, 4, 8, 3), fill).to(dtype))
    for count in counts(pattern, units.numel()):
        assert int(pattern.choose(units, count).sum()) == count


@every_pattern
def test_it_leaves_the_scores_alone(pattern):
    scores = torch.randn(1, 4, 8, 3)
    before = scores.clone()
    units = pattern.unit_scores(scores)
    pattern.choose(units, counts(pattern, units.numel())[-1])
    assert torch.equal(scores, before)


@every_pattern
def test_it_takes_views_that_are_not_contiguous(pattern):
    scores = torch.randn(1, 8, 4, 3)
    turned = scores.transpose(1, 2)
    torch.testing.assert_close(
        pattern.unit_scores(turned), pattern.unit_scores(turned.contiguous())
    )


@every_pattern
def test_its_word_means_it(pattern):
    assert patterns.parse(str(pattern)) == pattern


@every_pattern
@pytest.mark.parametrize("shape", [(8, 12), (8, 12, 3), (4, 8, 3, 3), (4, 4, 3, 3, 3)], ids=str)
def test_of_gives_a_mask_in_one_line(pattern, shape):
    scores = torch.randn(shape)
    mask = pattern.of(scores) if pattern.density is not None else pattern.of(scores, 0.75)
    assert mask.shape == scores.shape
    size = pattern.size((1, shape[0], shape[1], scores[0, 0].numel()))
    kept = round(size * (0.25 if pattern.density is None else pattern.density))
    assert int(mask.sum()) == kept * scores.numel() // size


@every_pattern
def test_a_nan_is_refused(pattern):
    scores = torch.zeros(1, 4, 8, 1)
    scores[0, 1, 2] = float("nan")
    units = pattern.unit_scores(scores)
    with pytest.raises(ValueError, match="'layer' cannot be ranked"):
        pattern.choose(units, counts(pattern, units.numel())[-1], name="layer")


@every_pattern
def test_it_says_what_a_unit_is_in_its_first_line(pattern):
    assert "\n" not in type(pattern).__doc__.split("\n\n")[0]


@every_pattern
def test_it_is_a_value(pattern):
    assert pattern == built(type(pattern))
    assert hash(pattern) == hash(built(type(pattern)))

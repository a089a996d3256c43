"""Keys keep the order of the values; each kernel gives what its reference gives."""

import itertools

import pytest
import torch

from rarefy import _keys, _native
from rarefy.errors import ScoreError

FLOATS = {"f32": torch.float32, "f64": torch.float64}
NAMES = ("topk_histogram_f32", "topk_histogram_f64", "topk_mark_f32", "topk_mark_f64")
ASCENDING = [
    -float("inf"),
    -3.0e38,
    -1.0,
    -1e-44,
    0.0,
    1e-44,
    0.5,
    1.0,
    1.0000001,
    float("inf"),
]
in_each_set = pytest.mark.parametrize(
    ("name", "kernel_set"),
    [pair for pair in itertools.product(_native.names(), _native.sets()) if "topk" in pair[0]],
)


def samples(dtype):
    torch.manual_seed(0)
    for size in (0, 1, 7, 255, 256, 257, 3000):
        normal = torch.randn(size, dtype=dtype)
        yield normal
        yield normal.round()  # heavy ties, and zeros of both signs
        yield torch.full((size,), -0.0, dtype=dtype)
        yield torch.randn(size + 1, dtype=dtype)[1:]  # not aligned to a vector
        special = torch.tensor([*ASCENDING, -0.0], dtype=dtype)
        yield special[torch.randint(len(special), (size,))]


@pytest.mark.parametrize("dtype", FLOATS.values())
def test_keys_keep_the_order(dtype):
    found = _keys.keys(torch.tensor(ASCENDING, dtype=dtype))
    assert (found.diff() > 0).all()


@pytest.mark.parametrize("dtype", FLOATS.values())
def test_the_two_zeros_have_one_key(dtype):
    assert _keys.keys(torch.tensor([-0.0, 0.0], dtype=dtype)).tolist() == [0, 0]


def test_a_key_by_hand():
    # 1.0 is 0x3F800000; the key of a negative value is the complement of its positive one's.
    assert _keys.keys(torch.tensor([1.0, -1.0])).tolist() == [0x3F800000, ~0x3F800000]


def test_a_histogram_by_hand():
    counts = torch.zeros(_keys.BUCKETS, dtype=torch.int64)
    values = torch.tensor([1.0, 1.0, -1.0, float("nan")])
    assert _keys.histogram(values, 16, 0, counts) == 1
    assert counts[0x3F80 + 32768] == 2
    assert counts[~0x3F80 + 32768] == 1
    later = torch.zeros(_keys.BUCKETS, dtype=torch.int64)
    assert _keys.histogram(values, 0, 0x3F80, later) == 0
    assert later.nonzero().tolist() == [[0]]
    assert later[0] == 2


def test_a_mark_by_hand():
    kept = torch.empty(5, dtype=torch.bool)
    values = torch.tensor([2.0, 1.0, 3.0, 2.0, 2.0])
    threshold = int(_keys.keys(torch.tensor([2.0])))
    assert _keys.mark(values, threshold, 2, kept) == 2
    assert kept.tolist() == [True, False, True, True, False]


@pytest.mark.native
@pytest.mark.skipif(not _native.names(), reason="the library is not installed")
def test_the_table_holds_what_is_tested_here():
    assert sorted(name for name in _native.names() if "topk" in name) == sorted(NAMES)


@pytest.mark.native
@in_each_set
def test_a_kernel_gives_what_its_reference_gives(name, kernel_set):
    operation, element = name.rsplit("_", 1)
    prototype = {"topk_histogram": _keys._HISTOGRAM, "topk_mark": _keys._MARK}[operation]
    kernel = _native.kernel_of(name, kernel_set, prototype)
    compare = {"topk_histogram": compare_histogram, "topk_mark": compare_mark}[operation]
    for values in samples(FLOATS[element]):
        compare(kernel, values)


def compare_histogram(kernel, values):
    bits = _keys.bits_of(values.dtype)
    middle = int(_keys.keys(values[len(values) // 2 :][:1]).sum())
    for shift in range(bits - 16, -1, -16):
        prefix = middle >> min(shift + 16, bits - 1)
        ours, wanted = torch.ones(2, _keys.BUCKETS, dtype=torch.int64)
        nan = kernel(values.data_ptr(), values.numel(), shift, prefix, ours.data_ptr())
        assert nan == _keys._histogram_reference(values, shift, prefix, wanted) == 0
        assert torch.equal(ours, wanted)


def compare_mark(kernel, values):
    threshold = int(_keys.keys(values[len(values) // 2 :][:1]).sum())
    for ties in (0, 1, 5, values.numel()):
        ours, wanted = torch.ones(2, values.numel(), dtype=torch.bool)
        used = kernel(values.data_ptr(), values.numel(), threshold, ties, ours.data_ptr())
        assert used == _keys._mark_reference(values, threshold, ties, wanted)
        assert torch.equal(ours, wanted)


@pytest.mark.parametrize("dtype", FLOATS.values())
def test_the_check_at_first_use_sees_a_wrong_kernel(dtype):
    assert not _keys._histogram_agrees(dtype, lambda *_: 2)  # counts NaN, and nothing else
    assert not _keys._mark_agrees(dtype, lambda *_: 0)


def test_a_strided_view_is_read_by_the_reference():
    values = torch.arange(10.0)[::2]
    kept = torch.empty(5, dtype=torch.bool)
    _keys.mark(values, int(_keys.keys(torch.tensor([5.0]))), 0, kept)
    assert kept.tolist() == [False, False, False, True, True]


def test_complex_scores_have_no_order():
    with pytest.raises(ScoreError, match=r"'conv1' cannot be ranked.*complex64"):
        _keys.comparable(torch.zeros(2, dtype=torch.complex64), "conv1")


def test_integers_that_float64_cannot_tell_apart_are_refused():
    with pytest.raises(ScoreError, match="beyond 2\\*\\*53"):
        _keys.as_float64(torch.tensor([1, (1 << 53) + 1]), "counter")


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.int32, torch.uint32])
def test_what_float32_cannot_hold_asks_for_float64(dtype):
    with pytest.raises(_keys.NeedsFloat64):
        _keys.as_float32(torch.zeros(1, dtype=dtype), "x")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.bool, torch.int16])
def test_what_float32_holds_becomes_float32(dtype):
    assert _keys.as_float32(torch.ones(1, dtype=dtype), "x").tolist() == [1.0]

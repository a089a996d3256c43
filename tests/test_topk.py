"""Keep exactly as many as asked, the largest, ties to the earlier: against a stable sort."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rarefy import _native, _topk
from rarefy._topk import count_largest, keep_largest
from rarefy.errors import BudgetError, ScoreError

INF, NAN = float("inf"), float("nan")
DTYPES = [
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.int8,
    torch.uint8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
]


def oracle(scores, count):
    """What a stable sort keeps."""
    flat = scores.reshape(-1)
    order = (flat + 0 if flat.dtype is torch.int64 else flat.double() + 0).argsort(
        descending=True, stable=True
    )
    mask = torch.zeros(flat.numel(), dtype=torch.bool)
    mask[order[:count]] = True
    return mask.reshape(scores.shape)


@pytest.fixture(params=["best", "reference"])
def each_path(request, monkeypatch):
    """Once with the compiled kernels, where they are, and once with their twins."""
    if request.param == "reference":
        monkeypatch.setattr(_native, "kernel", lambda *_: None)


@pytest.fixture(params=[1 << 20, 8])
def each_chunk(request, monkeypatch):
    """Once in one piece, and once in many."""
    monkeypatch.setattr(_topk, "_CHUNK", request.param)


def test_by_hand():
    assert keep_largest(torch.tensor([0.1, -5.0, 7.0, 2.0]), 2).tolist() == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.usefixtures("each_path")
def test_infinities_and_zeros_of_both_signs():
    scores = torch.tensor([-0.0, INF, 0.0, -INF, -0.0, INF])
    kept = [keep_largest(scores, count).nonzero().squeeze(1).tolist() for count in range(7)]
    assert kept[1:4] == [[1], [1, 5], [0, 1, 5]]
    assert kept[4:] == [[0, 1, 2, 5], [0, 1, 2, 4, 5], [0, 1, 2, 3, 4, 5]]
    assert kept[0] == []


scores_of_any_kind = st.builds(
    lambda size, ties, seed, dtype, strided: make(size, ties, seed, dtype, strided),
    st.integers(0, 200),
    st.booleans(),
    st.integers(0, 1000),
    st.sampled_from(DTYPES),
    st.booleans(),
)


def make(size, ties, seed, dtype, strided):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(size * 2 if strided else size, generator=generator) * (2 if ties else 50)
    values = values.round() if ties else values
    values = values > 0 if dtype is torch.bool else values.abs() if dtype is torch.uint8 else values
    values = values.to(dtype)
    return values[::2] if strided else values


@settings(max_examples=60, deadline=None)
@given(scores_of_any_kind, st.data())
@pytest.mark.parametrize("path", ["best", "reference"])
def test_keeps_what_a_stable_sort_keeps(path, scores, data):
    count = data.draw(st.integers(0, scores.numel()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_topk, "_CHUNK", data.draw(st.sampled_from([16, 100, 1 << 20])))
        if path == "reference":
            patch.setattr(_native, "kernel", lambda *_: None)
        mask = keep_largest(scores, count)
    assert mask.dtype is torch.bool
    assert torch.equal(mask, oracle(scores, count))


@settings(max_examples=60, deadline=None)
@given(st.lists(scores_of_any_kind, max_size=5), st.data())
@pytest.mark.parametrize("path", ["best", "reference"])
def test_counts_what_a_stable_sort_of_all_keeps(path, tensors, data):
    total = sum(scores.numel() for scores in tensors)
    count = data.draw(st.integers(0, total))
    named = {f"w{i}": scores for i, scores in enumerate(tensors)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_topk, "_CHUNK", data.draw(st.sampled_from([16, 100, 1 << 20])))
        if path == "reference":
            patch.setattr(_native, "kernel", lambda *_: None)
        counts = count_largest({n: (lambda s=s: s) for n, s in named.items()}, count)
    flat = torch.cat([torch.empty(0).double(), *(s.double() for s in tensors)])
    parts = oracle(flat, count).split([s.numel() for s in tensors]) if tensors else []
    assert list(counts) == list(named)
    assert list(counts.values()) == [int(part.sum()) for part in parts]
    for (name, scores), part in zip(named.items(), parts, strict=True):
        assert torch.equal(keep_largest(scores, counts[name]), part)


@pytest.mark.usefixtures("each_path", "each_chunk")
def test_many_dimensions_and_strides():
    torch.manual_seed(0)
    scores = torch.randn(4, 3, 5, 2)
    for view in (scores, scores.permute(3, 1, 0, 2), scores[:, 1:], scores.expand(2, 4, 3, 5, 2)):
        assert torch.equal(keep_largest(view, view.numel() // 3), oracle(view, view.numel() // 3))


@pytest.mark.usefixtures("each_path")
def test_a_single_score_and_none():
    assert keep_largest(torch.tensor(3.0), 1).item() is True
    assert keep_largest(torch.tensor(3.0), 0).item() is False
    assert keep_largest(torch.empty(0, 4), 0).shape == (0, 4)
    assert count_largest({}, 0) == {}
    assert count_largest({"a": lambda: torch.empty(0)}, 0) == {"a": 0}


@pytest.mark.usefixtures("each_path")
def test_integers_too_large_for_a_float_are_ranked_exactly():
    big = 1 << 60
    assert keep_largest(torch.tensor([big, big + 1, big - 1]), 1).tolist() == [False, True, False]


@pytest.mark.usefixtures("each_path", "each_chunk")
def test_dtypes_compare_by_value_across_tensors():
    # In float32 the first and the last would tie, and the earlier one would win.
    scores = {
        "single": lambda: torch.tensor([1.0, 0.5]),
        "whole": lambda: torch.tensor([1, 0]),
        "double": lambda: torch.tensor([1.0 + 2.0**-40, 0.0], dtype=torch.float64),
    }
    assert count_largest(scores, 1) == {"single": 0, "whole": 0, "double": 1}
    assert count_largest(scores, 3) == {"single": 1, "whole": 1, "double": 1}


@pytest.mark.usefixtures("each_path", "each_chunk")
def test_ties_go_to_the_earlier_tensor():
    scores = {name: lambda: torch.zeros(10) for name in "bca"}
    assert count_largest(scores, 13) == {"b": 10, "c": 3, "a": 0}


def test_gradients_and_inputs_are_left_alone():
    weight = torch.nn.Parameter(torch.tensor([1.0, -0.0, 3.0]))
    before = weight.detach().clone()
    assert not keep_largest(weight * 2, 2).requires_grad
    assert torch.equal(weight, before)
    assert torch.signbit(weight.detach())[1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.usefixtures("each_path")
def test_nan_is_an_error_with_the_name(dtype):
    scores = torch.tensor([1.0, NAN, 2.0, -NAN], dtype=dtype)
    for count in (0, 2, 4):
        with pytest.raises(ScoreError, match=r"'fc\.weight' cannot be ranked: 2 of its 4 scores"):
            keep_largest(scores, count, name="fc.weight")
    with pytest.raises(ScoreError, match="'b' cannot be ranked"):
        count_largest({"a": lambda: torch.ones(3), "b": lambda: scores}, 2)


@pytest.mark.parametrize("count", [-1, 4])
def test_a_count_that_cannot_be_met(count):
    with pytest.raises(BudgetError, match=f"cannot keep {count} of 3 scores"):
        keep_largest(torch.ones(3), count)
    with pytest.raises(BudgetError, match=f"cannot keep {count} of 3 scores"):
        count_largest({"a": lambda: torch.ones(1), "b": lambda: torch.ones(2)}, count)


def test_a_share_is_not_a_count():
    with pytest.raises(BudgetError, match=r"whole number of units, got 0\.5"):
        keep_largest(torch.ones(3), 0.5)


def test_scores_that_change_between_the_passes_are_an_error(monkeypatch):
    monkeypatch.setattr(_topk, "_CHUNK", 8)
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(ScoreError, match="gave other numbers"):
        count_largest({"a": lambda: torch.rand(100, generator=generator)}, 50)


def test_small_scores_are_made_once_and_large_ones_few_times(monkeypatch):
    calls = []
    scores = {n: lambda n=n: calls.append(n) or torch.arange(100.0) for n in "ab"}
    count_largest(scores, 50)
    assert calls == ["a", "b"]
    calls.clear()
    monkeypatch.setattr(_topk, "_CHUNK", 64)
    count_largest(scores, 50)
    assert len(calls) <= 2 * 3


def peak_bytes(function):
    """Most bytes that torch had allocated at once while the function ran, beyond those before."""
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        function()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(itertools.accumulate((event.nbytes() for event in events), initial=0))


def test_the_meter_sees_what_is_alive_at_once():
    def work():
        first = torch.ones(1 << 20)
        del first
        second = torch.ones(1 << 20)
        return second + 1

    assert 8 << 20 <= peak_bytes(work) < 9 << 20


@pytest.mark.slow
@pytest.mark.usefixtures("each_path")
def test_memory_stays_in_the_order_of_the_largest_tensor():
    huge = torch.randn(20_000_000)
    tiny = torch.randn(1000, 50)
    largest = huge.numel() * huge.element_size()
    scores = {"huge": huge.abs} | {f"tiny{i}": row.abs for i, row in enumerate(tiny)}
    count_largest(scores, 10)  # the kernels are checked once, at first use
    counts = {}
    peak = peak_bytes(lambda: counts.update(count_largest(scores, 2_000_000)))
    assert sum(counts.values()) == 2_000_000
    assert largest <= peak <= 2 * largest
    peak = peak_bytes(lambda: keep_largest(huge, 2_000_000))
    assert peak <= largest / 2 + (64 << 20)  # the mask is a quarter, the rest is a chunk


@pytest.mark.usefixtures("each_path")
def test_memory_is_not_that_of_all_tensors_together(monkeypatch):
    monkeypatch.setattr(_topk, "_CHUNK", 1 << 16)
    tensors = torch.randn(100, 1 << 16)
    scores = {f"w{i}": row.abs for i, row in enumerate(tensors)}
    count_largest(scores, 10)
    peak = peak_bytes(lambda: count_largest(scores, 650_000))
    assert peak <= tensors.numel() * tensors.element_size() / 4

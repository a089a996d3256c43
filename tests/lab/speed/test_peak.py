"""The measured FMA peak: what it counts."""

import pytest

from rarefy import _native
from rarefy.errors import MissingExtra
from rarefy.lab.speed import _peak
from rarefy.lab.speed._peak import peak


@pytest.mark.parametrize("threads", [1, 3])
def test_the_work_of_all_threads_is_told(monkeypatch, threads):
    monkeypatch.setattr(_native, "kernel", lambda *_: lambda iterations: 64 * iterations)
    assert peak(threads)() == threads * 64 * _peak._ITERATIONS


@pytest.mark.parametrize(
    ("kernel", "good"),
    [
        (lambda n: 32 * n, True),
        (lambda _: 32, False),
        (lambda _: 0, False),
        (lambda n: 32 * n + 1, False),
    ],
)
def test_a_kernel_that_miscounts_is_not_used(kernel, good):
    assert _peak._counts(kernel) == good


def test_without_a_kernel_it_says_so(monkeypatch):
    monkeypatch.setattr(_native, "kernel", lambda *_: None)
    with pytest.raises(MissingExtra, match=r"none runs here \(.*\)\. Without it times are told"):
        peak(1)


@pytest.mark.native
def test_the_compiled_one_counts_whole_vectors_in_every_set():
    for name in _native.sets():
        kernel = _native.kernel_of("fma_peak_f32", name, _peak._PROTOTYPE)
        assert _peak._counts(kernel)
        assert kernel(1) % 8 == 0
        assert kernel(-1) == 0

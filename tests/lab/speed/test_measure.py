"""Times, and the order in which they are taken."""

import pytest

from rarefy.errors import BudgetError, InvariantError
from rarefy.lab.speed import Case, Entry, Ready, Refused, Stand, Timing, _measure, linear


def small():
    return linear(6, 4, 3)


def crash():
    raise SystemExit(3)


def timing(*rounds, flops=100, dense=1000):
    return Timing(rounds, Ready(0.0, flops, dense, None, 40, 0.0, ""))


def test_a_time_is_the_median_with_its_quartiles():
    found = timing((1.0, 5.0), (2.0, 3.0, 4.0))
    assert (found.median, found.quartiles, found.least) == (3.0, (2.0, 4.0), 1.0)
    assert found.medians() == [3.0, 3.0]
    assert timing((2.0,)).quartiles == (2.0, 2.0)


def test_rounds_are_compared_before_the_median_is_taken():
    # The machine was ten times as slow in the middle round, for both.
    ours, theirs = timing((1.0,), (10.0,), (1.0,)), timing((2.0,), (30.0,), (2.0,))
    assert ours.times_as_fast(theirs) == 2.0


def test_a_share_is_of_the_work_of_the_peak_in_its_time():
    peak = timing((0.5,), flops=1000)  # 2,000 a second
    assert timing((0.1,), flops=100).share_of(peak) == 0.5
    assert timing((1.0,), dense=500).share_of(peak, dense=True) == 0.25


class Talk:
    """Stands in for the processes: answers, and keeps what was asked."""

    def __init__(self, monkeypatch, answers=None):
        self.asked, self.started = [], []
        self.answers = answers or {}
        monkeypatch.setattr(Stand, "_start", lambda _, worker: self.started.append(worker))
        monkeypatch.setattr(Stand, "_ask", lambda _, *order: self.answer(*order))

    def answer(self, worker, order, *content):
        """What the worker would say."""
        self.asked.append((worker[0], order, *content))
        if order == "prepare":
            return self.answers.get(worker[0], Ready(0.0, 10, 20, None, 40, 0.0, ""))
        return [1.0, 2.0] if order == "burst" else None


def entries(*names):
    return [Entry(name, Case("x", small)) for name in names]


def test_each_has_its_turn_and_every_other_round_goes_back(monkeypatch):
    talk = Talk(monkeypatch)
    found, peaks = Stand().measure(entries("a", "b", "a"), seconds=3.0, rounds=3)
    bursts = [each for each in talk.asked if each[1] == "burst"]
    forth = [("a", 0), ("b", 0), ("a", 1), ("peak", 0)]
    assert [(name, place) for name, _, place, _ in bursts] == [*forth, *forth[::-1], *forth]
    assert {seconds for *_, seconds in bursts} == {1.0}
    assert [each.rounds for each in found] == [((1.0, 2.0),) * 3] * 3
    assert isinstance(peaks[1], Timing)
    assert [each for each in talk.asked if each[1] == "forget"]


def test_a_refusal_is_handed_on_and_not_timed(monkeypatch):
    talk = Talk(monkeypatch, {"b": Refused("it cannot")})
    found, _ = Stand().measure(entries("a", "b"), seconds=1, rounds=2)
    assert found[1] == Refused("it cannot")
    assert not [each for each in talk.asked if each[:2] == ("b", "burst")]


@pytest.mark.parametrize(("error", "good"), [(9e-5, True), (2e-4, False), (float("nan"), False)])
def test_a_wrong_output_has_no_time(monkeypatch, error, good):
    Talk(monkeypatch, {"a": Ready(error, 10, 20, None, 40, 0.0, "")})
    (found,), _ = Stand().measure(entries("a"), seconds=1, rounds=1)
    assert isinstance(found, Timing) == good
    assert good or "off by" in found.reason


def test_threads_have_processes_and_a_peak_of_their_own(monkeypatch):
    talk = Talk(monkeypatch)
    mixed = [Entry("a", Case("x", small), threads=threads) for threads in (1, 2)]
    _, peaks = Stand().measure(mixed, seconds=1, rounds=1)
    assert set(peaks) == {1, 2}
    assert ("a", "float32", 2) in talk.started
    assert ("peak", "float32", 2) in talk.started


@pytest.mark.parametrize(
    "odd",
    [{"seconds": 0}, {"rounds": 0}, {"entries": []}, {"entries": [Entry("a", None, threads=0)]}],
)
def test_nothing_to_do_is_refused(odd):
    given = {"entries": entries("torch"), "seconds": 1, "rounds": 1} | odd
    with pytest.raises(BudgetError):
        Stand().measure(given.pop("entries"), **given)


@pytest.mark.slow
def test_processes_answer_and_end():
    with Stand() as stand:
        (found, refused), _ = stand.measure(
            [Entry("torch", Case("x", small)), Entry("scipy", None)], seconds=0.01, rounds=2
        )
        processes = [process for process, _ in stand._open.values()]
    assert len(found.rounds) == 2
    assert all(seconds > 0 for burst in found.rounds for seconds in burst)
    assert isinstance(refused, Timing | Refused)
    assert not any(process.is_alive() for process in processes)


@pytest.mark.slow
def test_a_process_that_dies_is_told(monkeypatch):
    monkeypatch.setattr(_measure, "PEAK", "torch")
    with Stand() as stand, pytest.raises(InvariantError, match="torch float32 1 ended with exit"):
        stand.measure([Entry("torch", Case("x", crash))], seconds=0.01, rounds=1)

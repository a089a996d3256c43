"""A plan: the same numbers for any strides, threads and processes, or one clear sentence."""

import concurrent.futures
import copy
import multiprocessing
import os
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

from rarefy import _native
from rarefy.errors import AttachError, FileError, PatternError
from rarefy.kernels import Plan, _plan, floats, join
from rarefy.kernels._runtime import Refused

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
quiet = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def same(found, wanted):
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.dtype is torch.float32
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_it_gives_what_the_modules_give(chain):
    same(Plan(chain.packed, chain.program).run(*chain.inputs), chain.wanted())


def test_a_plan_runs_any_batch(chain):
    plan = Plan(chain.packed, chain.program)
    for count in (1, 3, 0, 2):
        chain.inputs = [torch.randn(count, *x.shape[1:]) for x in chain.inputs]
        same(plan.run(*chain.inputs), chain.wanted())


def moved(x, change):
    """The same values, lying otherwise in memory."""
    if change == "turned":
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    if change == "apart":
        return torch.stack([x, x], -1)[..., 0]
    if change == "one float further":
        return torch.cat([x.new_zeros(1), x.reshape(-1)])[1:].view(x.shape)
    if change == "one byte further":
        raw = bytearray(b"\0" + x.numpy().tobytes())
        return torch.frombuffer(raw, dtype=torch.float32, offset=1).view(x.shape)
    if change == "parameter":
        return nn.Parameter(x, requires_grad=False)
    if change == "subclass":
        return x.as_subclass(type("Picture", (torch.Tensor,), {}))
    if change == "negated":
        return torch.complex(x, -x).conj().imag
    return x.requires_grad_()


CHANGES = ["turned", "apart", "one float further", "one byte further", "parameter", "subclass"]


@pytest.mark.parametrize("change", [*CHANGES, "negated", "wants gradients"])
def test_it_does_not_matter_how_an_input_lies(chain, change):
    plan = Plan(chain.packed, chain.program)
    wanted = plan.run(*chain.inputs)
    given = [moved(x.clone(), change) for x in chain.inputs]
    with torch.no_grad():
        found = plan.run(*given)
    for ours, theirs in zip(found, wanted, strict=True):
        assert type(ours) is torch.Tensor
        assert not ours.requires_grad
        assert torch.equal(ours, theirs)


def test_an_expanded_input_is_right(simple):
    plan = Plan(simple.packed, simple.program)
    row = simple.inputs[0][:1]
    (found,) = plan.run(row.expand(6, 70))
    assert torch.allclose(found, plan.run(row)[0].expand(6, 5), atol=1e-5)


def test_outputs_are_fresh_and_inputs_stay(chain):
    plan = Plan(chain.packed, chain.program)
    before = [x.clone() for x in chain.inputs]
    first = plan.run(*chain.inputs)
    kept = [y.clone() for y in first]
    second = plan.run(*[x + 1 for x in chain.inputs])
    assert all(torch.equal(x, y) for x, y in zip(chain.inputs, before, strict=True))
    assert all(torch.equal(x, y) for x, y in zip(first, kept, strict=True))
    addresses = {y.data_ptr() for y in first + second}
    assert len(addresses) == len(first) + len(second)


@pytest.mark.parametrize(
    ("x", "why"),
    [
        (torch.ones(2, 70).double(), "input 0 .*found torch.float64"),
        (torch.ones(2, 70).to(torch.bfloat16), "found torch.bfloat16"),
        (torch.ones(2, 70, dtype=torch.long), "found torch.int64"),
        (torch.ones(2, 70).to_sparse(), "found .*sparse_coo"),
        (torch.ones(2, 70, device="meta"), "is on meta; the compiled chain runs on the CPU"),
        (torch.ones(2, 71), "side -1 must be 70"),
        (torch.ones(70), "2 sides"),
    ],
)
def test_what_it_cannot_take_is_told(simple, x, why):
    plan = Plan(simple.packed, simple.program)
    with pytest.raises(PatternError, match=why):
        plan.run(x)
    same(plan.run(*simple.inputs), simple.wanted())


def test_a_wrong_number_of_inputs_is_told(simple):
    with pytest.raises(PatternError, match="takes 1 tensors; found 2"):
        Plan(simple.packed, simple.program).run(*simple.inputs, *simple.inputs)


def test_a_gradient_is_refused_with_the_way_out(simple):
    plan = Plan(simple.packed, simple.program)
    with pytest.raises(AttachError, match='storage="compressed"'):
        plan.run(simple.inputs[0].requires_grad_())


def test_inference_mode_in_and_out(simple):
    plan = Plan(simple.packed, simple.program)
    with torch.inference_mode():
        same(plan.run(*[x.clone() for x in simple.inputs]), simple.wanted())
        other = Plan(simple.packed.clone(), simple.program)
    same(other.run(*simple.inputs), simple.wanted())


def test_other_defaults_of_torch_do_not_matter(simple):
    wanted = simple.wanted()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            same(Plan(simple.packed.clone(), simple.program).run(*simple.inputs), wanted)
    finally:
        torch.set_default_dtype(torch.float32)


def test_damaged_bytes_and_programs_are_refused_at_once(simple):
    with pytest.raises(FileError):
        Plan(simple.packed[:-64], simple.program)
    with pytest.raises(FileError):
        Plan(simple.packed, simple.program.replace("w=2", "w=4"))
    with pytest.raises(FileError):
        Plan(simple.packed, simple.program + "\n")
    with pytest.raises(FileError):
        Plan(join([]), simple.program)


def test_what_the_library_does_not_take_runs_on_the_twin(simple, monkeypatch):
    def refuse(*_):
        raise Refused("no such step here")

    monkeypatch.setattr(_plan, "trusted", lambda *_: True)
    monkeypatch.setattr(_plan, "Native", refuse)
    monkeypatch.setattr(_native, "_disabled", {})
    plan = Plan(simple.packed, simple.program)
    assert not plan.compiled
    same(plan.run(*simple.inputs), simple.wanted())
    assert "a chain" in _native.status()
    assert "no such step here" in _native.status()
    with pytest.raises(FileError):
        Plan(join([]), simple.program)


def test_bytes_that_are_written_to_are_seen():
    program = "rarefy 1\ninput r0 rank=2\naffine r1 r0 s=0:2\noutput r1"
    packed = join([floats(torch.tensor([1.0, 2.0, 0.0, 0.0]))])
    plan, x = Plan(packed, program), torch.ones(1, 2)
    assert plan.run(x)[0].tolist() == [[1, 2]]
    packed.copy_(join([floats(torch.tensor([3.0, 4.0, 1.0, 1.0]))]))
    assert plan.run(x)[0].tolist() == [[4, 5]]
    packed[0] = 0
    with pytest.raises(FileError):
        plan.run(x)


def test_copies_and_pickles_are_whole(chain):
    plan = Plan(chain.packed, chain.program)
    wanted = plan.run(*chain.inputs)
    for other in (copy.deepcopy(plan), copy.copy(plan), pickle.loads(pickle.dumps(plan))):
        assert other.program == plan.program
        assert other.compiled == plan.compiled
        for ours, theirs in zip(other.run(*chain.inputs), wanted, strict=True):
            assert torch.equal(ours, theirs)
    deep = copy.deepcopy(plan)
    deep.packed.zero_()
    assert torch.equal(plan.run(*chain.inputs)[0], wanted[0])


def test_eight_threads_get_the_same_bits(chain):
    plan = Plan(chain.packed.clone(), chain.program)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: plan.run(*chain.inputs), range(64)))
    for outputs in found:
        for ours, theirs in zip(outputs, found[0], strict=True):
            assert torch.equal(ours, theirs)
    same(found[0], chain.wanted())


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_any_number_of_threads_is_right(chain, threads):
    plan = Plan(chain.packed, chain.program)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for _ in range(20):
            same(plan.run(*chain.inputs), chain.wanted())
    finally:
        torch.set_num_threads(before)


class Served(torch.utils.data.Dataset):
    """Examples that went through a plan, and the threads that were there for it."""

    def __init__(self, plan, x):
        self.plan, self.x = plan, x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.plan.run(self.x[i : i + 1])[0][0], torch.get_num_threads()


@forks
@quiet
def test_workers_of_a_data_loader_run_it_on_one_thread(simple):
    plan, (x,) = Plan(simple.packed, simple.program), simple.inputs
    wanted = plan.run(x)[0]  # the parent has used it, and so has threads
    loader = torch.utils.data.DataLoader(Served(plan, x), batch_size=2, num_workers=1)
    found = list(loader)
    assert torch.allclose(torch.cat([rows for rows, _ in found]), wanted, atol=1e-5)
    assert {int(n) for _, counts in found for n in counts} == {1}


def forked(plan, inputs, threads, answer):
    torch.set_num_threads(threads)
    answer.send([y.tolist() for y in plan.run(*inputs)])


@forks
@quiet
@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_child_runs_it(simple, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        plan = Plan(simple.packed, simple.program)
        wanted = plan.run(*simple.inputs)
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        child = context.Process(target=forked, args=(plan, simple.inputs, threads, theirs))
        child.start()
        assert ours.poll(30), "the child hangs"
        found = ours.recv()
        child.join(30)
        assert child.exitcode == 0
        assert torch.allclose(torch.tensor(found[0]), wanted[0], atol=1e-5)
        same(plan.run(*simple.inputs), wanted)
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_a_fresh_process_unpickles_and_runs_it(simple, tmp_path):
    plan = Plan(simple.packed, simple.program)
    (tmp_path / "plan").write_bytes(pickle.dumps((plan, simple.inputs, plan.run(*simple.inputs))))
    program = (
        f"import pickle, torch; torch.set_num_threads(1)\n"
        f"plan, x, y = pickle.loads(open({str(tmp_path / 'plan')!r}, 'rb').read())\n"
        f"assert torch.equal(plan.run(*x)[0], y[0]); print(plan.compiled)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert answer.stdout.strip() == str(plan.compiled), answer.stderr


@pytest.mark.slow
def test_a_spawned_process_runs_it(simple):
    plan = Plan(simple.packed, simple.program)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (found,) = pool.apply(plan.run, simple.inputs)
        assert torch.allclose(found, simple.wanted()[0], atol=1e-4)

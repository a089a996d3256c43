"""A chain in the library: what it is told, what it answers, and that it is right over a grid."""

import ctypes
import itertools
import math

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from rarefy import _native
from rarefy.errors import AttachError, FileError, InvariantError, PatternError
from rarefy.kernels import _runtime, floats, join, pack, twin
from rarefy.kernels._runtime import Native, Refused
from rarefy.kernels._threads import settle_threads

here = _runtime.is_here()
needs_native = pytest.mark.skipif(not here, reason="the library does not run chains")


class Paper:
    """The functions of the library in Python: reads the described tensors, runs the twin."""

    def __init__(self):
        self.made, self.freed, self.calls, self.code = {}, [], [], 0

    def function(self, name, *_):
        """As the one of ``_native``."""
        return getattr(self, name, None)

    def rarefy_pool_after_fork_child(self):
        """There is no pool."""

    def rarefy_plan_new(self, program, packed, size, _set, message, _room):
        """Keeps a copy; refuses what begins with a 0."""
        data = torch.tensor(list(ctypes.string_at(packed, size)), dtype=torch.uint8)
        if data[0] == 0:
            message.value = b"the first byte is 0"
            return None
        assert packed % 64 == 0
        self.made[len(self.made) + 1] = data, program.decode()
        return len(self.made)

    def rarefy_plan_run(self, handle, inputs, count, outputs, out_count, threads):
        """Runs the twin on what is described."""
        if self.code:
            return self.code
        packed, program = self.made[handle.value]
        given = [self.read(inputs, i) for i in range(count)]
        self.calls.append(([tuple(x.shape) for x in given], out_count, threads))
        for i, y in enumerate(twin(given, packed, program)):
            address, shape = self.described(outputs, i)
            assert shape == y.shape
            ctypes.memmove(address, y.data_ptr(), 4 * y.numel())
        return 0

    def rarefy_program_check(self, *_):
        """Whatever it was told."""
        return self.code

    def rarefy_plan_problem(self, code):
        """One line."""
        return f"problem {code}".encode()

    def rarefy_plan_free(self, handle):
        """Notes it."""
        self.freed.append(handle)

    def described(self, words, number):
        """Address and shape."""
        address, rank, *sides = words[8 * number : 8 * number + 8]
        return address, tuple(sides[:rank])

    def read(self, words, number):
        """The tensor that is described."""
        address, shape = self.described(words, number)
        found = torch.empty(shape)
        ctypes.memmove(found.data_ptr(), address, 4 * found.numel())
        return found


@pytest.fixture
def paper(monkeypatch):
    """A library of paper in the place of the compiled one."""
    library = Paper()
    monkeypatch.setattr(_native, "function", library.function)
    settle_threads.cache_clear()
    monkeypatch.setattr("os.register_at_fork", lambda **_: None, raising=False)
    yield library
    settle_threads.cache_clear()


def test_the_library_is_told_all_and_answers(paper, chain):
    native = Native(chain.packed, chain.program)
    for inputs in (chain.inputs, [x[:1] for x in chain.inputs], chain.inputs):
        found = native.run(inputs)
        for ours, theirs in zip(found, twin(inputs, chain.packed, chain.program), strict=True):
            assert torch.equal(ours, theirs)
    shapes = [tuple(x.shape) for x in chain.inputs]
    assert paper.calls[0] == (shapes, len(found), torch.get_num_threads())


def test_one_in_one_out_is_the_same(paper, simple):
    native = Native(simple.packed, simple.program)
    for x in (simple.inputs[0], simple.inputs[0].t().contiguous().t(), simple.inputs[0][:0]):
        assert torch.equal(native.run_one(x), native.run([x])[0])
    assert len(paper.calls) == 6


@pytest.mark.usefixtures("paper")
def test_one_in_one_out_wants_one_of_each(simple):
    with pytest.raises(PatternError, match="gives 2 tensors"):
        Native(simple.packed, simple.program + "\noutput r3").run_one(simple.inputs[0])


@pytest.mark.usefixtures("paper")
def test_frames_are_used_again_and_their_number_is_bounded(simple):
    native = Native(simple.packed, simple.program)
    for count in range(70):
        native.run_one(torch.ones(count, 70))
    native.run([torch.ones(69, 70)])
    assert len(native._frames) <= 64
    (frame,) = native._frames[torch.Size((69, 70))]
    native.run_one(torch.ones(69, 70))
    assert native._frames[torch.Size((69, 70))] == [frame]
    assert all(template.untyped_storage().size() == 0 for template in frame.templates)


@pytest.mark.usefixtures("paper")
def test_a_call_within_a_call_has_a_frame_of_its_own(simple):
    native, (x,) = Native(simple.packed, simple.program), simple.inputs
    wanted, run, deep = native.run_one(x), native._run, []

    def nested(*args):
        if len(deep) < 3:
            deep.append(1)
            native.run_one(x * 2)
        return run(*args)

    native._run = nested
    assert torch.equal(native.run_one(x), wanted)


def test_the_handle_is_freed_once_with_the_chain(paper, simple):
    native = Native(simple.packed, simple.program)
    assert paper.freed == []
    del native
    assert paper.freed == [1]


@pytest.mark.usefixtures("paper")
def test_the_bytes_are_not_kept(simple):
    native = Native(simple.packed, simple.program)
    wanted = native.run(simple.inputs)[0]
    simple.packed.zero_()
    assert torch.equal(native.run(simple.inputs)[0], wanted)


@pytest.mark.usefixtures("paper")
def test_bytes_at_any_address_reach_the_library_aligned(simple):
    moved = torch.cat([torch.zeros(1, dtype=torch.uint8), simple.packed])[1:]
    Native(moved, simple.program)


def test_what_the_library_refuses_is_told(paper, simple):
    simple.packed[0] = 0
    with pytest.raises(Refused, match=r"^the first byte is 0$"):
        Native(simple.packed, simple.program)
    paper.code = -1
    with pytest.raises(FileError, match=r"^the first byte is 0\. .*accelerate the model again"):
        Native(simple.packed, simple.program)


def test_what_goes_wrong_in_a_call_is_told(paper, simple):
    native = Native(simple.packed, simple.program)
    paper.code = 3
    with pytest.raises(InvariantError, match=r"failed: problem 3.*RAREFY_KERNELS=reference"):
        native.run(simple.inputs)


@pytest.mark.usefixtures("paper")
def test_a_tensor_that_wraps_its_values_is_refused(simple):
    native = Native(simple.packed, simple.program)
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(simple.inputs[0])
    with pytest.raises(PatternError, match="is a FakeTensor, whose values"):
        native.run([fake])


@pytest.mark.usefixtures("paper")
def test_a_gradient_is_refused(simple):
    native, x = Native(simple.packed, simple.program), simple.inputs[0].requires_grad_()
    for call in (lambda: native.run([x]), lambda: native.run_one(x)):
        with pytest.raises(AttachError, match="no gradients"):
            call()
    with torch.no_grad():
        assert not native.run_one(x).requires_grad


LINEAR = "rarefy 1\ninput r0 rank=2\nlinear r1 r0 w=0:65x90 b=-\noutput r1"


def sparse(shape, density):
    return torch.randn(shape) * (torch.rand(shape) < density) / max(1, math.prod(shape[1:])) ** 0.5


def agree(lines, sections, inputs):
    packed = join([pack(p) if p.dim() > 1 else floats(p) for p in sections])
    given = [f"input r{i} rank={x.dim()}" for i, x in enumerate(inputs)]
    last = len(inputs) + lines.count("\n")
    program = "\n".join(["rarefy 1", *given, lines, f"output r{last}"])
    (found,), (wanted,) = Native(packed, program).run(inputs), twin(inputs, packed, program)
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4, equal_nan=True)


@needs_native
@pytest.mark.native
@pytest.mark.parametrize("tokens", [0, 1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 64, 67])
@pytest.mark.parametrize("columns", [1, 63, 256, 257])
def test_linear_over_a_grid(tokens, columns):
    torch.manual_seed(tokens)
    for rows, density in itertools.product((1, 29, 30, 31, 97), (0.0, 0.05, 0.3, 1.0)):
        weight, bias = sparse((rows, columns), density), torch.randn(rows)
        inputs = [torch.randn(tokens, columns)]
        agree(f"linear r1 r0 w=0:{rows}x{columns} b=1", [weight, bias], inputs)
        agree(f"linear r1 r0 w=0:{rows}x{columns} b=-\nrelu r2 r1", [weight], inputs)


@needs_native
@pytest.mark.native
@pytest.mark.parametrize("window", [(1, 1), (3, 3), (5, 3), (7, 7)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 3)])
def test_conv_over_a_grid(window, stride):
    torch.manual_seed(0)
    for pad, count, density in itertools.product(((0, 0), (1, 1), (3, 2)), (0, 1, 3, 17), (0.1, 1)):
        shape = (19, 5, *window)
        weight, bias = sparse(shape, density), torch.randn(19)
        words = f"stride={stride[0]},{stride[1]} pad={pad[0]},{pad[1]}"
        line = f"conv r1 r0 w=0:{'x'.join(map(str, shape))} b=1 {words}"
        agree(line, [weight, bias], [torch.randn(count, 5, 9, 13)])


@needs_native
@pytest.mark.native
@pytest.mark.parametrize("line", ["relu r1 r0", "gelu r1 r0", "gelu_tanh r1 r0", "silu r1 r0"])
@pytest.mark.parametrize("shape", [(5,), (0, 3), (2, 7), (3, 16), (2, 3, 5, 7), (1, 2, 1, 2, 1, 2)])
def test_points_of_any_size(line, shape):
    special = torch.tensor([0.0, -0.0, 1e-40, -1e-40, 88.0, -88.0, 1e30, -1e30])
    values = torch.cat([special, torch.randn(math.prod(shape)) * 3])[: math.prod(shape)]
    agree(line, [], [values.reshape(shape)])


@needs_native
@pytest.mark.native
@pytest.mark.parametrize("tokens", [1, 5, 40])
@pytest.mark.parametrize("special", [float("nan"), float("inf"), -float("inf"), 1e-42])
def test_a_special_value_reaches_only_the_rows_that_use_it(tokens, special):
    torch.manual_seed(0)
    weight, x = sparse((65, 90), 0.1), torch.randn(tokens, 90)
    x[0, 17] = 0
    native = Native(join([pack(weight)]), LINEAR)
    wanted = native.run_one(x)
    x[0, 17] = special
    found = native.run_one(x)
    uses = weight[:, 17] != 0
    assert 0 < uses.sum() < 65
    # A group that meets a NaN is summed again, in another order.
    torch.testing.assert_close(found[:, ~uses], wanted[:, ~uses])
    assert torch.equal(found[1:], wanted[1:])
    reached = wanted[0, uses] + weight[uses, 17] * special
    assert torch.allclose(found[0, uses], reached, atol=1e-4, equal_nan=True)


@needs_native
@pytest.mark.native
def test_whole_chains_agree_with_their_modules(chain):
    native = Native(chain.packed, chain.program)
    for ours, theirs in zip(native.run(chain.inputs), chain.wanted(), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@needs_native
@pytest.mark.native
def test_damaged_bytes_and_programs_never_crash_the_library(chain):
    generator = torch.Generator().manual_seed(0)
    draw = lambda most: int(torch.randint(most, (), generator=generator))  # noqa: E731
    for _ in range(150):
        changed = chain.packed.clone()
        for _ in range(1 + draw(3)):
            changed[draw(len(changed))] = draw(256)
        place = draw(len(chain.program))
        program = chain.program[:place] + chr(32 + draw(90)) + chain.program[place + 1 :]
        for packed, text in ((changed, chain.program), (chain.packed, program)):
            try:
                found = Native(packed, text).run(chain.inputs)
            except (FileError, PatternError, InvariantError, Refused):
                continue
            assert len(found) == chain.program.count("output")

"""The operators: as torch wants them, through compile and export, and never a silent zero."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.library import opcheck

from rarefy.errors import AttachError, FileError, PatternError

CHAIN, CHAIN1 = torch.ops.rarefy.chain.default, torch.ops.rarefy.chain1.default
RELU = "rarefy 1\ninput r0 rank=2\nrelu r1 r0\noutput r1"
ADD = "rarefy 1\ninput r0 rank=2\ninput r1 rank=2\nadd r2 r0 r1\noutput r2"


class Net(nn.Module):
    """A chain between two operations of torch, its bytes a buffer."""

    def __init__(self, chain):
        super().__init__()
        self.register_buffer("packed", chain.packed)
        self.program = chain.program

    def forward(self, *inputs):
        """The chain on doubled inputs; one is added to what leaves."""
        return [y + 1 for y in CHAIN([2 * x for x in inputs], self.packed, self.program)]


def compiled(*args, **words):
    torch._dynamo.reset()
    return torch.compile(*args, **words)


def test_they_give_what_the_modules_give(chain):
    for ours, theirs in zip(
        CHAIN(chain.inputs, chain.packed, chain.program), chain.wanted(), strict=True
    ):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_one_in_one_out_is_the_same(simple):
    one = CHAIN1(simple.inputs[0], simple.packed, simple.program)
    assert torch.equal(one, CHAIN(simple.inputs, simple.packed, simple.program)[0])


def test_one_in_one_out_wants_one_of_each(simple):
    program = simple.program + "\noutput r3"
    with pytest.raises(PatternError, match="gives 2 tensors"):
        CHAIN1(simple.inputs[0], simple.packed, program)
    with pytest.raises(PatternError, match="takes 2 tensors"):
        CHAIN1(simple.inputs[0], simple.packed, ADD)


def test_torch_finds_no_fault(chain):
    opcheck(CHAIN, (chain.inputs, chain.packed, chain.program))


@pytest.mark.parametrize("grad", [False, True])
def test_torch_finds_no_fault_with_the_small_one(simple, grad):
    x = simple.inputs[0].requires_grad_(grad)
    with torch.no_grad():
        opcheck(CHAIN1, (x, simple.packed, simple.program))


def test_shapes_alone_are_enough(chain):
    meta = [x.to("meta") for x in chain.inputs]
    found = CHAIN(meta, chain.packed.to("meta"), chain.program)
    assert [y.shape for y in found] == [y.shape for y in chain.wanted()]


def test_autocast_computes_in_float32(simple):
    (x,), packed, program = simple.inputs, simple.packed, simple.program
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = CHAIN1(x, packed, program)
        from_half = CHAIN([x.bfloat16()], packed, program)[0]
    assert torch.equal(found, CHAIN1(x, packed, program))
    assert torch.equal(from_half, CHAIN1(x.bfloat16().float(), packed, program))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_a_gradient_is_refused_in_one_sentence(simple):
    (x,), packed, program = simple.inputs, simple.packed, simple.program
    wants = x.clone().requires_grad_()
    for call in (
        lambda: CHAIN1(wants, packed, program),
        lambda: CHAIN([wants], packed, program),
        lambda: torch.func.grad(lambda x: CHAIN1(x, packed, program).sum())(x),
        lambda: torch.func.grad(lambda x: CHAIN([x], packed, program)[0].sum())(x),
        lambda: torch.func.jacrev(lambda x: CHAIN1(x, packed, program))(x),
        lambda: torch.func.jvp(lambda x: CHAIN1(x, packed, program), (x,), (x,)),
        lambda: torch.func.jvp(lambda x: CHAIN([x], packed, program)[0], (x,), (x,)),
    ):
        with pytest.raises(AttachError, match=r'no gradients.*storage="compressed"') as told:
            call()
        assert "\n" not in str(told.value)


def test_without_grad_mode_an_input_may_want_gradients(simple):
    x = simple.inputs[0].clone().requires_grad_()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            found = CHAIN1(x, simple.packed, simple.program)
        assert not found.requires_grad
        assert torch.allclose(found, simple.wanted()[0], atol=1e-4)


def test_functionalized_calls_are_right(simple):
    run = torch.func.functionalize(lambda x: CHAIN1(x + 1, simple.packed, simple.program))
    wanted = CHAIN1(simple.inputs[0] + 1, simple.packed, simple.program)
    assert torch.equal(run(simple.inputs[0]), wanted)


def test_a_mode_that_watches_sees_the_call(simple):
    seen = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Watch():
        CHAIN1(simple.inputs[0], simple.packed, simple.program)
        CHAIN(simple.inputs, simple.packed, simple.program)
    assert seen == [CHAIN1, CHAIN]


def test_other_dtypes_and_devices_are_told(simple):
    with pytest.raises(PatternError, match=r"found torch.bfloat16"):
        CHAIN1(simple.inputs[0].bfloat16(), simple.packed, simple.program)


def test_hostile_bytes_are_refused_and_harmless(simple):
    (x,), packed, program = simple.inputs, simple.packed, simple.program
    generator = torch.Generator().manual_seed(0)
    refused = 0
    for _ in range(200):
        place = int(torch.randint(packed.numel(), (), generator=generator))
        changed = packed.clone()
        changed[place : place + 4] = torch.randint(256, (4,), generator=generator)[
            : packed.numel() - place
        ]
        try:
            found = CHAIN1(x, changed, program)
        except FileError:
            refused += 1
        else:
            assert found.shape == (7, 5)
    assert refused > 40
    for other in (packed[:-1], packed[:0], packed.clone().view(-1, 64), packed.int(), packed[::2]):
        with pytest.raises(FileError):
            CHAIN1(x, other, program)
    for text in ("", "rarefy 1", program[:-3], program + "\0", program.replace("90x70", "70x90")):
        with pytest.raises((FileError, PatternError)):
            CHAIN1(x, packed, text)


def test_the_bytes_may_change_and_programs_may_share_them(simple):
    (x,), packed = simple.inputs, simple.packed.clone()
    first = CHAIN1(x, packed, simple.program)
    assert torch.equal(CHAIN1(-x.abs(), packed, RELU), torch.zeros_like(x))
    assert torch.equal(CHAIN1(x, packed, simple.program), first)
    packed.copy_(torch.ops.aten.clone(simple.packed))
    assert torch.equal(CHAIN1(x, packed, simple.program), first)


def test_it_compiles_without_a_break(chain):
    net = Net(chain)
    wanted = net(*chain.inputs)
    found = compiled(net, fullgraph=True, backend="eager")(*chain.inputs)
    assert all(torch.equal(x, y) for x, y in zip(found, wanted, strict=True))


@pytest.mark.slow
def test_it_compiles_with_any_batch(simple):
    net = Net(simple)
    with torch.no_grad():
        fast = compiled(net, fullgraph=True, backend="aot_eager", dynamic=True)
        for count in (7, 2, 5):
            x = simple.inputs[0][:count]
            assert torch.equal(fast(x)[0], net(x)[0])


@pytest.mark.slow
def test_it_is_exported_saved_and_loaded_in_a_fresh_process(simple, tmp_path):
    net, file = Net(simple), tmp_path / "net.pt2"
    dynamic = {"inputs": tuple({0: torch.export.Dim.AUTO} for _ in simple.inputs)}
    exported = torch.export.export(net, tuple(simple.inputs), dynamic_shapes=dynamic)
    assert any(node.target is CHAIN for node in exported.graph.nodes)
    torch.export.save(exported, file)
    larger = [torch.cat([x, x]) for x in simple.inputs]
    torch.save((larger, net(*larger)), tmp_path / "data.pt")
    program = f"""
import torch, rarefy.kernels
torch.set_num_threads(1)
inputs, wanted = torch.load({str(tmp_path / "data.pt")!r})
found = torch.export.load({str(file)!r}).module()(*inputs)
print(all(torch.allclose(x, y, rtol=1e-5, atol=1e-5) for x, y in zip(found, wanted, strict=True)))
"""
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert answer.stdout.strip() == "True", answer.stderr


def test_a_module_that_holds_one_is_copied_whole(simple):
    net = Net(simple)
    wanted = net(*simple.inputs)
    other = copy.deepcopy(net)
    net.packed.zero_()
    assert torch.equal(other(*simple.inputs)[0], wanted[0])
    with pytest.raises(FileError):
        net(*simple.inputs)

"""The twin: every step as torch's own module gives it, and shapes without values."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from rarefy.errors import FileError, PatternError
from rarefy.kernels import _twin, floats, join, pack, quantize, read, twin, unpack
from rarefy.kernels._low_precision import low_linear
from rarefy.kernels._quantized import read_quantized
from rarefy.kernels._twin import check


def test_whole_nets_give_what_their_modules_give(chain):
    found = twin(chain.inputs, chain.packed, chain.program)
    wanted = chain.wanted()
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_shapes_follow_from_the_text_alone(chain):
    wanted = [y.shape for y in chain.wanted()]
    meta = [x.to("meta") for x in chain.inputs]
    assert [y.shape for y in twin(meta, None, chain.program)] == wanted
    with FakeTensorMode() as mode:
        fake = [mode.from_tensor(x) for x in chain.inputs]
        found = twin(fake, None, chain.program)
    assert [y.shape for y in found] == wanted
    assert all(y.is_contiguous() for y in found)


ONE = {
    "relu": (nn.ReLU(), "relu r1 r0"),
    "gelu": (nn.GELU(), "gelu r1 r0"),
    "gelu_tanh": (nn.GELU("tanh"), "gelu_tanh r1 r0"),
    "silu": (nn.SiLU(), "silu r1 r0"),
    "clamp": (nn.ReLU6(), "clamp r1 r0 lo=0.0 hi=6.0"),
    "max_pool": (nn.MaxPool2d(3, 2, 1), "max_pool r1 r0 size=3,3 stride=2,2 pad=1,1"),
    "mean": (nn.AdaptiveAvgPool2d(1), "mean r1 r0"),
    "flatten": (nn.Flatten(), "flatten r1 r0"),
}


@pytest.mark.parametrize("op", ONE)
def test_a_step_is_the_module_of_its_name(op):
    module, line = ONE[op]
    x = torch.randn(2, 3, 7, 8) * 4
    found = twin([x], join([]), f"rarefy 1\ninput r0 rank=4\n{line}\noutput r1")
    assert torch.allclose(found[0], module(x), rtol=1e-6, atol=1e-6)


def test_any_strides_and_no_alias():
    program = "rarefy 1\ninput r0 rank=4\nflatten r1 r0\nrelu r2 r1\noutput r1\noutput r2"
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    flat, positive = twin([x], join([]), program)
    assert torch.equal(flat, x.contiguous().flatten(1))
    flat.zero_()
    assert x.abs().sum() > 0
    assert torch.equal(positive, x.flatten(1).relu())


def test_batches_of_none(chain):
    empty = [x[:0] for x in chain.inputs]
    found = twin(empty, chain.packed, chain.program)
    assert [y.shape for y in found] == [(0, *y.shape[1:]) for y in chain.wanted()]


def test_autocast_changes_nothing(simple):
    wanted = twin(simple.inputs, simple.packed, simple.program)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = twin(simple.inputs, simple.packed, simple.program)
    assert torch.equal(found[0], wanted[0])


def test_dense_weights_are_made_once_and_leave_with_the_bytes(simple, monkeypatch):
    made = []
    monkeypatch.setattr(_twin, "unpack", lambda section: made.append(1) or unpack(section))
    for _ in range(3):
        twin(simple.inputs, simple.packed, simple.program)
    assert len(made) == 6
    known = len(_twin._unpacked)
    del simple.packed
    assert len(_twin._unpacked) == known - 1


def test_weights_first_used_in_inference_mode_serve_gradients_too(simple):
    with torch.inference_mode():
        twin(simple.inputs, simple.packed, simple.program)
    x = simple.inputs[0].clone().requires_grad_()
    twin([x], simple.packed, simple.program)[0].sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("x", "why"),
    [
        (torch.ones(2, 70).double(), "found torch.float64"),
        (torch.ones(70), r"of 2 sides; found .*shape \(70,\)"),
        (torch.ones(2, 70).to_sparse(), "strided float32"),
        (torch.ones(2, 69), r"linear r1 r0 w=0:90x70 b=1' reads \(2, 69\); side -1 must be 70"),
    ],
)
def test_an_input_that_does_not_fit_is_told(simple, x, why):
    with pytest.raises(PatternError, match=why):
        twin([x], simple.packed, simple.program)


def test_the_number_of_inputs_is_told(simple):
    for inputs in ([], simple.inputs * 2):
        with pytest.raises(PatternError, match="takes 1 tensors"):
            twin(inputs, simple.packed, simple.program)


@pytest.mark.parametrize(
    ("line", "sections", "shape", "why"),
    [
        (
            "conv r1 r0 w=0:1x2x3x3 b=- stride=1,1 pad=0,0",
            [torch.ones(1, 18)],
            (1, 2, 2, 5),
            "smaller",
        ),
        (
            "conv r1 r0 w=0:1x2x3x3 b=- stride=1,1 pad=0,0",
            [torch.ones(1, 18)],
            (1, 3, 5, 5),
            "side 1",
        ),
        (
            "conv r1 r0 w=0:1x2x1x1 b=- stride=1,1 pad=1,1",
            [torch.ones(1, 2)],
            (1, 2, 0, 5),
            "height",
        ),
        ("max_pool r1 r0 size=3,3 stride=1,1 pad=0,0", [], (1, 2, 2, 5), "smaller"),
        ("max_pool r1 r0 size=2,2 stride=1,1 pad=0,0", [], (1, 0, 4, 5), "channels"),
        ("affine r1 r0 s=0:3", [torch.ones(6)], (1, 2, 2, 5), "side 1 must be 3"),
        ("norm r1 r0 p=0:3 eps=1e-05", [torch.ones(6)], (1, 2, 2, 5), "side -1 must be 3"),
    ],
)
def test_an_image_that_does_not_fit_is_told(line, sections, shape, why):
    packed = join([pack(p) if p.dim() > 1 else floats(p) for p in sections])
    with pytest.raises(PatternError, match=why):
        twin([torch.ones(shape)], packed, f"rarefy 1\ninput r0 rank=4\n{line}\noutput r1")


def test_unequal_shapes_are_told():
    program = "rarefy 1\ninput r0 rank=2\ninput r1 rank=2\nadd r2 r0 r1\noutput r2"
    with pytest.raises(PatternError, match=r"reads \(2, 3\) and \(1, 3\); the shapes must be"):
        twin([torch.ones(2, 3), torch.ones(1, 3)], join([]), program)


LINEAR = "rarefy 1\ninput r0 rank=2\nlinear r1 r0 w=0:2x3 b=1\noutput r1"


@pytest.mark.parametrize(
    "sections",
    [
        [],
        [pack(torch.ones(2, 3))],
        [pack(torch.ones(3, 2)), floats(torch.ones(2))],
        [pack(torch.ones(2, 3)), floats(torch.ones(3))],
        [floats(torch.ones(6)), floats(torch.ones(2))],
        [pack(torch.ones(2, 3)), pack(torch.ones(1, 2))],
    ],
)
def test_bytes_of_another_model_are_told(sections):
    packed = join(sections)
    for use in (lambda: check(packed, LINEAR), lambda: twin([torch.ones(1, 3)], packed, LINEAR)):
        with pytest.raises(FileError, match=r"wants .* values in section [01].*another model"):
            use()


@pytest.mark.parametrize("kind", ["w8a8", "w8a16", "w16a16", "bf16", "f16"])
def test_a_weight_in_low_precision_multiplies_rounded(kind):
    torch.manual_seed(0)
    weight, bias, x = torch.randn(2, 3), torch.randn(2), torch.randn(5, 3)
    section = quantize(weight, None, kind)
    packed = join([section, floats(bias)])
    assert torch.equal(unpack(read(packed)[0]), unpack(section))
    check(packed, LINEAR)
    found = twin([x], packed, LINEAR)[0]
    assert torch.equal(found, low_linear(x, read_quantized(section.data), bias))
    exact = x @ weight.T + bias
    assert 0 < (found - exact).norm() < 0.05 * exact.norm()


def test_a_convolution_takes_no_weight_in_low_precision():
    packed = join([quantize(torch.ones(2, 3), None, "w8a8")])
    program = "rarefy 1\ninput r0 rank=4\nconv r1 r0 w=0:2x3x1x1 b=- stride=1,1 pad=0,0\noutput r1"
    with pytest.raises(FileError, match="2 x 3 x 1 x 1 values in section 0"):
        check(packed, program)


def test_bytes_that_fit_are_found_so(chain):
    check(chain.packed, chain.program)

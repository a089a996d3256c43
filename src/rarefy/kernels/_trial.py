"""The first use of every step in the library: once against its twin, on tiny cases."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rarefy import _native
from rarefy.errors import RarefyError
from rarefy.kernels._container import Section, floats, framed, join, pack
from rarefy.kernels._low_precision import quantize
from rarefy.kernels._program import VERSION, Place, Step, steps
from rarefy.kernels._quantized import HEAD, KINDS
from rarefy.kernels._runtime import Native, Refused, is_here
from rarefy.kernels._shapes import parsed
from rarefy.kernels._twin import twin

_Case = tuple[Sequence[tuple[int, ...]], str]
"""Shapes of the inputs, and the lines between them and the outputs."""

_TOKENS = ((1, 77), (3, 77), (16, 77), (2, 19, 77))
_IMAGES = ((1, 13, 9, 11), (3, 13, 8, 8))
_POINTS = ((3, 67), (1, 5, 2, 9))
_ENCODER = """linear r1 r0 w=0:150x77 b=1
gelu r2 r1
linear r3 r2 w=2:77x150 b=3
add r4 r3 r0
norm r5 r4 p=4:77 eps=1e-05"""
_RESIDUAL = """conv r1 r0 w=0:13x13x3x3 b=- stride=1,1 pad=1,1
affine r2 r1 s=1:13
relu r3 r2
conv r4 r3 w=2:13x13x3x3 b=3 stride=1,1 pad=1,1
add r5 r4 r0
relu r6 r5"""

_PRODUCTS: list[_Case] = [([shape], "linear r1 r0 w=0:67x77 b=1") for shape in _TOKENS]
_CASES: dict[str, list[_Case]] = {
    "linear": [
        *_PRODUCTS,
        *(([shape], _ENCODER) for shape in _TOKENS),
    ],
    "conv": [
        *(
            ([shape], f"conv r1 r0 w=0:35x13x{window} b=1 stride={stride} pad={pad}")
            for shape in _IMAGES
            for window, stride, pad in (
                ("1x1", "1,1", "0,0"),
                ("1x1", "2,2", "0,0"),
                ("3x3", "1,1", "1,1"),
                ("3x3", "2,2", "1,1"),
                ("5x3", "1,2", "2,0"),
            )
        ),
        *(([shape], _RESIDUAL) for shape in _IMAGES),
    ],
    "affine": [([(3, 13)], "affine r1 r0 s=0:13"), ([_IMAGES[0]], "affine r1 r0 s=0:13")],
    "clamp": [([shape], "clamp r1 r0 lo=-1.0 hi=2.5") for shape in _POINTS],
    "norm": [([(3, 67)], "norm r1 r0 p=0:67 eps=1e-05")],
    "max_pool": [
        ([shape], f"max_pool r1 r0 size={size} stride=2,2 pad={pad}")
        for shape in _IMAGES
        for size, pad in (("3,3", "1,1"), ("2,2", "0,0"))
    ],
    "mean": [([shape], "mean r1 r0") for shape in _IMAGES],
    "flatten": [([shape], "flatten r1 r0") for shape in _POINTS],
    **{op: [([s], f"{op} r1 r0") for s in _POINTS] for op in ("relu", "gelu", "gelu_tanh", "silu")},
    **{op: [([s, s], f"{op} r2 r0 r1") for s in _POINTS] for op in ("add", "mul")},
}
_trusted: dict[str, bool] = {}


def trusted(packed: Tensor, program: str) -> bool:
    """Whether the library runs this chain: it is there, and right in every step.

    The first time a step is asked for, it runs on tiny cases beside its twin. One that gives
    something else is switched off with all chains that have it, and ``rarefy doctor`` says so.

    Raises:
        FileError: The program or the frame of the packed bytes is damaged.
    """
    return is_here() and all(_trust(name) for name in _families(packed, program))


def _families(packed: Tensor, program: str) -> list[str]:
    """The steps of a chain, and the kinds of its weights in low precision."""
    ops = {step.op for step in parsed(program)} - {"input", "output"}
    kinds = {_kind_of(section.data) for section in framed(packed) if section.kind == "quantized"}
    return [*sorted(ops), *sorted(kinds)]


def _trust(name: str) -> bool:
    if name not in _trusted:
        kind = name if name in KINDS else None
        cases = _PRODUCTS if kind else _CASES[name]
        _trusted[name] = all(_agrees(*case, kind) for case in cases)
        if not _trusted[name]:
            _native.switch_off(f"linear in {kind}" if kind else f"step '{name}'")
    return _trusted[name]


def _agrees(shapes: Sequence[tuple[int, ...]], lines: str, kind: str | None = None) -> bool:
    given = [f"input r{i} rank={len(shape)}" for i, shape in enumerate(shapes)]
    last = len(shapes) + len(lines.split("\n")) - 1
    program = "\n".join([VERSION, *given, lines, f"output r{last}"])
    draw = torch.Generator().manual_seed(0)
    for sparse in (True, False):
        packed = join(_sections(steps(program), sparse, kind, draw))
        inputs = [_whole(shape, draw) for shape in shapes]
        try:
            ours = Native(packed, program).run(inputs)
        except (Refused, RarefyError):
            return False
        wanted = twin(inputs, packed, program)[0]
        # Torch may multiply in lower precision, if it was told so; never as wrong as an index is.
        limit = float(wanted.abs().max()) * (1e-2 if " w=" in lines else 1e-5)
        if not float((ours[0] - wanted).abs().max()) <= limit:
            return False
    return True


def _sections(
    chain: Sequence[Step], sparse: bool, kind: str | None, draw: torch.Generator
) -> list[Section]:
    found: dict[int, Section] = {}
    for step in chain:
        for key, value in step.options.items():
            if key == "w":
                weight = _whole(value.shape, draw)
                if sparse:
                    weight *= _whole(value.shape, draw) > 1
                found[value.section] = quantize(weight, None, kind) if kind else pack(weight)
            elif isinstance(value, Place):
                found[value.section] = floats(_whole((2 * value.shape[0],), draw))
            elif key == "b" and value is not None:
                found[value] = floats(_whole((step.options["w"].shape[0],), draw))
    return [found[number] for number in sorted(found)]


def _whole(shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    """Small whole numbers: their sums are exact, in whatever order and precision they are made."""
    values = torch.randint(-3, 4, (math.prod(shape),), generator=draw, device="cpu")
    return values.to(torch.float32).reshape(shape)


def _kind_of(section: Tensor) -> str:
    """The kind of a weight in low precision; any, where the library will find it damaged."""
    head = bytes(section[: HEAD.size].numpy())
    number = HEAD.unpack(head)[3] if len(head) == HEAD.size else 0
    return KINDS[number % len(KINDS)]

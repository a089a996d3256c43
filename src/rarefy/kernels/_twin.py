"""Every step of a program in plain torch: the reference of the compiled chain."""

import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from rarefy.errors import FileError, PatternError
from rarefy.kernels._container import Section, framed, unpack
from rarefy.kernels._low_precision import low_linear
from rarefy.kernels._program import Place, Step
from rarefy.kernels._quantized import Quantized, read_quantized
from rarefy.kernels._remembered import Remembered
from rarefy.kernels._shapes import check_count, check_one, parsed, shape_made


def twin(inputs: Sequence[Tensor], packed: Tensor | None, program: str) -> list[Tensor]:
    """What the chain gives, step by step in plain torch; float32 also under autocast.

    Args:
        inputs: float32, one for each ``input`` line.
        packed: The container of the program's sections. None where only shapes count, as they do
            for fake and meta inputs: all of them follow from the program.
        program: See :func:`rarefy.kernels.steps`.

    Returns:
        One tensor for each ``output`` line: contiguous and never an alias.

    Raises:
        FileError: The program or the packed bytes are damaged, or do not fit each other.
        PatternError: The inputs do not fit the program.
    """
    if torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return twin(inputs, packed, program)
    chain = parsed(program)
    taken = [step for step in chain if step.op == "input"]
    check_count(len(inputs), len(taken))
    registers = [
        accepted(tensor, step.options["rank"], number)
        for number, (tensor, step) in enumerate(zip(inputs, taken, strict=True))
    ]
    parameters = _Parameters(packed, registers[0].device)
    for step in chain[len(taken) :]:
        if step.op == "output":
            break
        given = [registers[i] for i in step.inputs]
        shape_made(step, [x.shape for x in given])  # raises where it does not fit
        registers.append(_RUN[step.op](step, given, parameters))
    # A clone has the strides of its shape, whatever a convolution left, and memory of its own.
    return [
        registers[step.inputs[0]].clone(memory_format=torch.contiguous_format)
        for step in chain
        if step.op == "output"
    ]


def twin_of_one(x: Tensor, packed: Tensor | None, program: str) -> Tensor:
    """The same for a chain of one input and one output.

    Raises:
        PatternError: The chain gives more than one tensor.
    """
    outputs = twin([x], packed, program)
    check_one(len(outputs))
    return outputs[0]


def accepted(tensor: Tensor, rank: int, number: int) -> Tensor:
    """The input, contiguous, if it is one that a chain takes.

    Raises:
        PatternError: It is not float32, not strided, or has another number of sides.
    """
    if (
        tensor.dtype is not torch.float32
        or tensor.layout is not torch.strided
        or tensor.dim() != rank
    ):
        raise PatternError(
            f"input {number} of the chain must be a strided float32 tensor of {rank} sides; found "
            f"{tensor.dtype}, {tensor.layout}, shape {tuple(tensor.shape)}. Convert it, or call "
            "the dense model."
        )
    return tensor.contiguous()


def check(packed: Tensor, program: str) -> None:
    """Nothing, if every parameter of the program lies in the packed bytes in its shape.

    Raises:
        FileError: The program or the packed bytes are damaged, or do not fit each other.
    """
    parameters = _Parameters(packed, packed.device)
    for step in parsed(program):
        for key, value in step.options.items():
            if key == "w":
                parameters.matrix(value) if step.op == "linear" else parameters.weight(value)
            elif key == "b":
                parameters.floats(value, step.options["w"].shape[0])
            elif isinstance(value, Place):
                parameters.floats(value.section, 2 * value.shape[0])


def _unpack_all(packed: Tensor, name: str) -> list[Tensor | Quantized]:
    del name
    with torch.inference_mode(False):  # what is remembered may be used outside it
        return [_unpacked_one(section) for section in framed(packed)]


def _unpacked_one(section: Section) -> Tensor | Quantized:
    return read_quantized(section.data) if section.kind == "quantized" else unpack(section)


_unpacked = Remembered(_unpack_all)


class _Parameters:
    """The parameters of a chain, dense; empty ones where only shapes count."""

    def __init__(self, packed: Tensor | None, device: torch.device) -> None:
        self._device = device
        self._sections = None if packed is None else _unpacked.get(packed, "dense")

    def floats(self, number: int | None, count: int) -> Tensor | None:
        """A vector; None for a bias that is not there."""
        if number is None:
            return None
        found = self._found(number, (count,))
        if isinstance(found, Quantized):
            raise _unfit(number, (count,))
        return found

    def weight(self, place: Place) -> Tensor:
        """A weight of float32 in its own shape."""
        found = self.matrix(place)
        if isinstance(found, Quantized):
            raise _unfit(place.section, place.shape)
        return found.reshape(place.shape)

    def matrix(self, place: Place) -> Tensor | Quantized:
        """A weight of any precision, rows x columns."""
        return self._found(place.section, (place.shape[0], math.prod(place.shape[1:])))

    def _found(self, number: int, shape: tuple[int, ...]) -> Tensor | Quantized:
        if self._sections is None:
            return torch.empty(shape, dtype=torch.float32, device=self._device)
        if number < len(self._sections) and tuple(self._sections[number].shape) == shape:
            return self._sections[number]
        raise _unfit(number, shape)


def _unfit(number: int, shape: tuple[int, ...]) -> FileError:
    return FileError(
        f"the program of a chain wants {' x '.join(map(str, shape))} values in section {number}, "
        "and its packed bytes do not hold them there. They belong to another model: accelerate it "
        "again."
    )


def _linear(step: Step, given: list[Tensor], parameters: _Parameters) -> Tensor:
    place = step.options["w"]
    bias = parameters.floats(step.options["b"], place.shape[0])
    weight = parameters.matrix(place)
    if isinstance(weight, Quantized):
        return low_linear(given[0], weight, bias)
    return functional.linear(given[0], weight, bias)


def _conv(step: Step, given: list[Tensor], parameters: _Parameters) -> Tensor:
    place = step.options["w"]
    bias = parameters.floats(step.options["b"], place.shape[0])
    return functional.conv2d(
        given[0], parameters.weight(place), bias, step.options["stride"], step.options["pad"]
    )


def _two(parameters: _Parameters, place: Place) -> tuple[Tensor, Tensor]:
    """The two vectors that lie one after the other in a section."""
    count = place.shape[0]
    both = parameters.floats(place.section, 2 * count)
    if both is None:
        raise _unfit(place.section, (2 * count,))
    return both[:count], both[count:]


def _affine(step: Step, given: list[Tensor], parameters: _Parameters) -> Tensor:
    sides = (-1,) + (1,) * (given[0].dim() - 2)
    scale, shift = _two(parameters, step.options["s"])
    return given[0] * scale.reshape(sides) + shift.reshape(sides)


def _norm(step: Step, given: list[Tensor], parameters: _Parameters) -> Tensor:
    place = step.options["p"]
    gamma, beta = _two(parameters, place)
    return functional.layer_norm(given[0], place.shape, gamma, beta, step.options["eps"])


def _max_pool(step: Step, given: list[Tensor], parameters: _Parameters) -> Tensor:
    del parameters
    size, stride, pad = (step.options[key] for key in ("size", "stride", "pad"))
    return functional.max_pool2d(given[0], size, stride, pad)


def _clamp(step: Step, given: list[Tensor], parameters: _Parameters) -> Tensor:
    del parameters
    return given[0].clamp(step.options["lo"], step.options["hi"])


def _plain(run: Callable[..., Tensor]) -> Callable[[Step, list[Tensor], _Parameters], Tensor]:
    """A step that needs nothing but its inputs."""
    return lambda _step, given, _parameters: run(*given)


_RUN: dict[str, Callable[[Step, list[Tensor], _Parameters], Tensor]] = {
    "linear": _linear,
    "conv": _conv,
    "affine": _affine,
    "norm": _norm,
    "max_pool": _max_pool,
    "clamp": _clamp,
    "relu": _plain(torch.relu),
    "gelu": _plain(functional.gelu),
    "gelu_tanh": _plain(functools.partial(functional.gelu, approximate="tanh")),
    "silu": _plain(functional.silu),
    "add": _plain(torch.add),
    "mul": _plain(torch.mul),
    "mean": _plain(lambda x: x.mean((2, 3), keepdim=True)),
    "flatten": _plain(lambda x: x.flatten(1)),
}

"""A chain in the compiled library: made once from its bytes, called with as little as can be."""

import ctypes
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from rarefy import _native
from rarefy.errors import AttachError, FileError, InvariantError, PatternError
from rarefy.kernels._program import MOST_SIDES
from rarefy.kernels._shapes import Shape, check_one, parsed, shapes_of
from rarefy.kernels._threads import settle_threads
from rarefy.kernels._twin import accepted

_NEW = ctypes.CFUNCTYPE(
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_int64,
)
_PROBLEM = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_int)
_CHECK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64)
_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
# Without argument types a call takes half the time; what is passed has its C type already.
_RUN = ctypes.CFUNCTYPE(ctypes.c_int)
_WORDS = 2 + MOST_SIDES
"""int64 numbers by which the library knows a tensor: address, number of sides, sides."""
_MOST_SHAPES = 64
_MOST_MESSAGE = 1024


def is_here() -> bool:
    """Whether the library is here and runs chains."""
    return _native.function("rarefy_plan_new", _NEW) is not None


def no_gradient() -> AttachError:
    """What is said to who asks a chain for gradients."""
    return AttachError(
        "an accelerated chain has no gradients. Call it under torch.no_grad(); to train, use the "
        "model that was accelerated, or train with only the nonzeros in memory: "
        'rarefy.sparsify(..., storage="compressed").'
    )


class Refused(Exception):  # noqa: N818 - never leaves the room
    """The library does not take a chain, with its sentence why."""


class _Frame:
    """What one call tells the library; for inputs of one shape only the addresses change."""

    __slots__ = ("home", "inputs", "outputs", "templates")

    def __init__(self, given: Sequence[Shape], made: Sequence[Shape]) -> None:
        self.inputs = _described(given)
        self.outputs = _described(made)
        self.templates = [_template(shape) for shape in made]
        self.home: list[_Frame] = []
        """The frames of this shape that no call uses now."""


class Native:
    """A chain in the library. Any number of threads may call it at once."""

    def __init__(self, packed: Tensor, program: str) -> None:
        """Have the library check and copy what it needs; ``packed`` is not kept.

        Raises:
            FileError: The program contradicts itself.
            Refused: The bytes are damaged, do not fit the program, or hold what only the twin can
                take.
        """
        self._program = program
        ends = [step.op for step in parsed(program) if step.op in ("input", "output")]
        self._is_single = ends == ["input", "output"]
        self._frames: dict[Hashable, list[_Frame]] = {}
        settle_threads()
        handle = _made(packed, program)
        self._handle = ctypes.c_void_p(handle)
        self._run = _required("rarefy_plan_run", _RUN)
        # At the end of the process all memory goes at once, and a thread may still be calling.
        weakref.finalize(self, _required("rarefy_plan_free", _FREE), handle).atexit = False

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """What the chain gives: see :func:`rarefy.kernels.twin`.

        Raises:
            PatternError: The inputs do not fit the program.
            AttachError: Gradients are asked for.
        """
        if self._is_single and len(inputs) == 1:
            return [self.run_one(inputs[0])]
        addresses = [address_of(x) for x in inputs]
        if not all(addresses):
            inputs = [plain(x, number) for number, x in enumerate(inputs)]
            addresses = [x.data_ptr() for x in inputs]
        return self.run_all_at(addresses, inputs)

    def run_all_at(self, addresses: Sequence[int], inputs: Sequence[Tensor]) -> list[Tensor]:
        """The same for inputs whose :func:`address_of` is known."""
        shapes = tuple([x.shape for x in inputs])
        try:
            # Taken out while in use: no other thread can have it, nor a finalizer in this one.
            frame = self._frames[shapes].pop()
        except (KeyError, IndexError):
            frame = self._frame(shapes)
        words, at = frame.inputs, 0
        for address in addresses:
            words[at] = address
            at += _WORDS
        outputs = [torch.empty_like(template) for template in frame.templates]
        words, at = frame.outputs, 0
        for y in outputs:
            words[at] = y.data_ptr()
            at += _WORDS
        self._call(frame, len(addresses), len(outputs))
        return outputs

    def run_one(self, x: Tensor) -> Tensor:
        """The same, a little faster, for a chain of one input and one output."""
        address = address_of(x)
        if not address:
            x = plain(x, 0)
            address = x.data_ptr()
        return self.run_at(address, x.shape)

    def run_at(self, address: int, shape: torch.Size) -> Tensor:
        """The same for an input of this shape whose :func:`address_of` is known."""
        try:
            frame = self._frames[shape].pop()
        except (KeyError, IndexError):
            frame = self._frame_of_one(shape)
        y = torch.empty_like(frame.templates[0])
        frame.inputs[0] = address
        frame.outputs[0] = y.data_ptr()
        self._call(frame, 1, 1)
        return y

    def _call(self, frame: _Frame, taken: int, made: int) -> None:
        code = self._run(
            self._handle, frame.inputs, taken, frame.outputs, made, torch.get_num_threads()
        )
        if code:
            # The inputs fit, or there would be no frame; so this is no fault of the caller's.
            problem = _required("rarefy_plan_problem", _PROBLEM)(code).decode()
            raise InvariantError(
                f"the compiled chain failed: {problem}. RAREFY_KERNELS=reference runs without it."
            )
        frame.home.append(frame)

    def _frame(self, shapes: tuple[torch.Size, ...]) -> _Frame:
        return self._kept(shapes, _Frame(shapes, shapes_of(self._program, shapes)))

    def _frame_of_one(self, shape: torch.Size) -> _Frame:
        made = shapes_of(self._program, [shape])
        check_one(len(made))
        return self._kept(shape, _Frame([shape], made))

    def _kept(self, key: Hashable, frame: _Frame) -> _Frame:
        if len(self._frames) >= _MOST_SHAPES:
            self._frames.clear()
        frame.home = self._frames.setdefault(key, [])
        return frame


def plain(tensor: Tensor, number: int) -> Tensor:
    """The input as the library reads it: float32 on the CPU, contiguous, aligned.

    Raises:
        PatternError: It has another dtype, device or layout, or only wraps its values.
        AttachError: It wants a gradient.
    """
    if tensor.requires_grad and torch.is_grad_enabled():
        raise no_gradient()
    if not tensor.is_cpu:
        raise PatternError(
            f"input {number} of the chain is on {tensor.device}; the compiled chain runs on the "
            "CPU. Move it there, or call the dense model."
        )
    if type(tensor).__torch_dispatch__ is not Tensor.__torch_dispatch__:
        raise PatternError(
            f"input {number} of the chain is a {type(tensor).__name__}, whose values do not lie in "
            "memory of its own. Pass a plain tensor, or call the dense model."
        )
    with torch._C.DisableTorchFunctionSubclass():
        found = accepted(tensor.detach(), tensor.dim(), number).resolve_neg().as_subclass(Tensor)
        if address_of(found) or not found.numel():
            return found
        return found.clone()  # its address was no multiple of 4


def address_of(x: Tensor) -> int:
    """Where the values lie if the library can read them there, else 0; :func:`plain` helps then.

    Also 0 for what asks for a gradient, only wraps its values, or has none.
    """
    if (
        type(x) is Tensor
        and x.dtype is torch.float32
        and x.is_cpu
        and x.is_contiguous()
        and not x.requires_grad
        and not x.is_neg()
    ):
        address = x.data_ptr()
        return 0 if address & 3 else address
    return 0


def _described(shapes: Sequence[Shape]) -> "ctypes.Array[ctypes.c_int64]":
    words: list[int] = []
    for shape in shapes:
        words += [0, len(shape), *shape, *[0] * (MOST_SIDES - len(shape))]
    return (ctypes.c_int64 * len(words))(*words)


def _template(shape: Shape) -> Tensor:
    """A tensor of this shape without memory: ``empty_like`` is the fastest way to a fresh one."""
    with torch.inference_mode(False):
        found = torch.empty(shape, dtype=torch.float32, device="cpu")
    found.untyped_storage().resize_(0)
    return found


def _made(packed: Tensor, program: str) -> int:
    """A chain in the library, which says in one line what it refuses."""
    data = packed.detach().contiguous()
    if data.data_ptr() % 64:
        data = data.clone()
    message = ctypes.create_string_buffer(_MOST_MESSAGE)
    words = program.encode()
    made: int | None = _required("rarefy_plan_new", _NEW)(
        words,
        data.data_ptr(),
        data.numel(),
        _native.kernel_set().encode(),
        message,
        _MOST_MESSAGE,
    )
    if made:
        return made
    why = message.value.decode(errors="replace")
    if _required("rarefy_program_check", _CHECK)(words, message, _MOST_MESSAGE):
        raise FileError(f"{why}. The program of the chain is damaged: accelerate the model again.")
    raise Refused(why)


def _required(name: str, prototype: Callable[[Any], Any]) -> Callable[..., Any]:
    found = _native.function(name, prototype)
    if found is None:
        raise InvariantError(
            f"the compiled library has no '{name}'; ask is_here() first. Install rarefy again."
        )
    return found

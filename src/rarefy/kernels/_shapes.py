"""The shapes of what a chain gives, from the shapes that it is given, and whether these fit."""

import functools
import math
from collections.abc import Sequence

from rarefy.errors import PatternError
from rarefy.kernels._program import Step, steps

Shape = tuple[int, ...]

parsed = functools.lru_cache(maxsize=256)(steps)
"""The steps of a program, read once."""

_SIDES = {"linear": (-1, "w", 1), "conv": (1, "w", 1), "affine": (1, "s", 0), "norm": (-1, "p", 0)}
"""The side of the input that a parameter fixes, the parameter, and the side there."""


def shapes_of(program: str, given: Sequence[Sequence[int]]) -> list[Shape]:
    """The shape of what each ``output`` line gives.

    Args:
        program: See :func:`rarefy.kernels.steps`.
        given: The shape of each input.

    Raises:
        PatternError: These shapes do not fit the program.
    """
    chain = parsed(program)
    taken = [step for step in chain if step.op == "input"]
    check_count(len(given), len(taken))
    known: list[Shape] = []
    for number, (shape, step) in enumerate(zip(given, taken, strict=True)):
        if len(shape) != step.options["rank"]:
            raise PatternError(
                f"input {number} of the chain has {step.options['rank']} sides; found shape "
                f"{tuple(shape)}. Reshape it, or call the dense model."
            )
        known.append(tuple(shape))
    for step in chain[len(taken) :]:
        if step.op != "output":
            known.append(shape_made(step, [known[i] for i in step.inputs]))
    return [known[step.inputs[0]] for step in chain if step.op == "output"]


def check_count(given: int, taken: int) -> None:
    """Nothing, if as many inputs are given as a chain takes.

    Raises:
        PatternError: They are not.
    """
    if given != taken:
        raise PatternError(f"the chain takes {taken} tensors; found {given}.")


def check_one(made: int) -> None:
    """Nothing, if a chain that is to give one tensor does.

    Raises:
        PatternError: It gives more.
    """
    if made != 1:
        raise PatternError(f"the chain gives {made} tensors, not one: call torch.ops.rarefy.chain.")


def shape_made(step: Step, given: Sequence[Shape]) -> Shape:
    """The shape of what a step makes of inputs of these shapes.

    Raises:
        PatternError: It cannot read them.
    """
    shape = given[0]
    if step.op in _SIDES:
        _check_side(step, given)
    if len(given) > 1 and shape != given[1]:
        raise _wrong(step, given, "the shapes must be equal")
    match step.op:
        case "linear":
            return (*shape[:-1], step.options["w"].shape[0])
        case "conv":
            out, _, *window = step.options["w"].shape
            return (shape[0], out, *_slid(step, given, window))
        case "max_pool":
            return (*shape[:2], *_slid(step, given, step.options["size"]))
        case "mean":
            return (*shape[:2], 1, 1)
        case "flatten":
            return (shape[0], math.prod(shape[1:]))
        case _:
            return shape


def _check_side(step: Step, given: Sequence[Shape]) -> None:
    side, key, of = _SIDES[step.op]
    wanted = step.options[key].shape[of]
    if given[0][side] != wanted:
        raise _wrong(step, given, f"side {side} must be {wanted}")


def _slid(step: Step, given: Sequence[Shape], window: Sequence[int]) -> Shape:
    """Height and width of what a window makes that slides over a padded image."""
    _, channels, *sides = given[0]
    if channels < 1 or any(side < 1 for side in sides):
        raise _wrong(step, given, "an image has channels, height and width")
    pads, strides = step.options["pad"], step.options["stride"]
    room = [side + 2 * pad - size for side, pad, size in zip(sides, pads, window, strict=True)]
    if any(left < 0 for left in room):
        raise _wrong(step, given, "the padded image is smaller than the window")
    return tuple(left // stride + 1 for left, stride in zip(room, strides, strict=True))


def _wrong(step: Step, given: Sequence[Shape], why: str) -> PatternError:
    told = " and ".join(str(tuple(shape)) for shape in given)
    return PatternError(
        f"the chain cannot take these inputs: step '{step.line()[:120]}' reads {told}; {why}."
    )

"""Many tensors changed as one: the state is the old one or the new one, never half of each."""

from collections.abc import Callable, Sequence

from torch import Tensor

from rarefy.errors import InvariantError

Move = Callable[[], None]

_TRIES = 100
"""Times that one move is made again; a key cannot be pressed that often."""


def commit(moves: Sequence[Move]) -> BaseException | None:
    """Make every move, whatever interrupts, and return what did.

    A move that was broken off is made again, so each must give the same however often it is begun.
    The caller raises what is returned once its own books are in order.

    Raises:
        InvariantError: A move fails again and again.
    """
    interrupted: BaseException | None = None
    done = tries = 0
    while True:
        try:
            # Everything that takes time is inside: an interruption may come between two lines.
            while done < len(moves):
                moves[done]()
                done, tries = done + 1, 0
            break
        except BaseException as error:
            interrupted, tries = interrupted or error, tries + 1
            if tries > _TRIES:
                raise InvariantError(
                    f"a change of topology broke off at {done} of {len(moves)} tensors "
                    f"({type(error).__name__}: {error}): the model and its optimizer no longer "
                    "belong together. Load the last checkpoint."
                ) from error
    return interrupted


def copying(there: Tensor, new: Tensor) -> Move:
    """The move that copies ``new`` over ``there``, in place."""

    def copy() -> None:
        there.copy_(new)

    return copy

"""Running a chain: by the library where it is here and right, else by the twin."""

from collections.abc import Sequence

from torch import Tensor

from rarefy import _native
from rarefy.kernels._container import check_bytes
from rarefy.kernels._remembered import Remembered
from rarefy.kernels._runtime import Native, Refused, plain
from rarefy.kernels._trial import trusted
from rarefy.kernels._twin import check, twin, twin_of_one


def _made(packed: Tensor, program: str) -> Native | None:
    """The chain in the library; None where the twin runs, once it is known that it can."""
    check_bytes(packed)
    refusal = ""
    if trusted(packed, program):
        try:
            return Native(packed, program)
        except Refused as refused:
            refusal = str(refused)
    check(packed, program)  # raises where the bytes are at fault
    if refusal:
        _native.switch_off("a chain", refusal)
    return None


chains = Remembered(_made)
"""By bytes and program."""


def run(inputs: Sequence[Tensor], packed: Tensor, program: str) -> list[Tensor]:
    """What the chain gives, by the library or the twin: see :func:`rarefy.kernels.twin`.

    Raises:
        FileError: The program or the packed bytes are damaged, or do not fit each other.
        PatternError: The inputs do not fit the program, or are not on the CPU.
        AttachError: Gradients are asked for.
    """
    chain = chains.get(packed, program)
    if chain is not None:
        return chain.run(inputs)
    return twin([plain(x, number) for number, x in enumerate(inputs)], packed, program)


def run_one(x: Tensor, packed: Tensor, program: str) -> Tensor:
    """The same for a chain of one input and one output."""
    chain = chains.get(packed, program)
    if chain is not None:
        return chain.run_one(x)
    return twin_of_one(plain(x, 0), packed, program)


class Plan:
    """A chain of steps, ready to run. Copies, pickles and forks like any value.

    Any number of threads may call it at once. It uses as many threads of its own as
    ``torch.get_num_threads()`` says, so one in the workers of a DataLoader. What it gives are fresh
    tensors. If ``packed`` is written to, the next call runs what it holds then.

    Attributes:
        packed: The container of the chain's parameters, as :func:`rarefy.kernels.join` makes it.
        program: The steps, as :func:`rarefy.kernels.text` writes them.
    """

    def __init__(self, packed: Tensor, program: str) -> None:
        """Make the chain ready.

        Raises:
            FileError: The program or the packed bytes are damaged, or do not fit each other.
        """
        self.packed = packed
        self.program = program
        chains.get(packed, program)

    @property
    def compiled(self) -> bool:
        """Whether the library runs it; else the twin does, and ``rarefy doctor`` says why."""
        return chains.get(self.packed, self.program) is not None

    def run(self, *inputs: Tensor) -> list[Tensor]:
        """What the chain gives for these inputs.

        Args:
            inputs: float32 on the CPU, of any strides, one for each ``input`` line.

        Returns:
            One fresh contiguous tensor for each ``output`` line.

        Raises:
            PatternError: The inputs do not fit the program, or are not on the CPU.
            AttachError: Gradients are asked for.
        """
        chain = chains.get(self.packed, self.program)
        if chain is not None:
            return chain.run(inputs)
        return run(inputs, self.packed, self.program)

    def __reduce__(self) -> tuple[type["Plan"], tuple[Tensor, str]]:
        return Plan, (self.packed, self.program)

"""Every way to run a network that is known here, and which of them are installed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from torch import nn

from rarefy.errors import MissingExtra, UnknownName
from rarefy.lab.speed import _onnx, _openvino, _ours, _scipy, _torch
from rarefy.lab.speed._prepared import Prepared, hushed
from rarefy.metrics import Example

Prepare = Callable[[nn.Module, Example, int, str], Prepared]
"""Network, example, threads and precision to a call."""

PRECISIONS = ("float32", "bfloat16", "int8")


@dataclass(frozen=True, slots=True)
class Runtime:
    """One way to run a network."""

    name: str
    prepare_: Prepare
    packages: tuple[str, ...] = ()
    """What must be installed beside rarefy."""
    precisions: tuple[str, ...] = ("float32",)
    sparse: bool = False
    """Whether zeros in a weight are meant to make it faster."""
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Precision to what must be installed for it too."""

    def missing(self, precision: str = "float32") -> list[str]:
        """Packages that it lacks here."""
        wanted = (*self.packages, *self.beside.get(precision, ()))
        return [package for package in wanted if find_spec(package) is None]

    def check(self, precision: str) -> None:
        """See that it is installed and has that precision.

        Raises:
            MissingExtra: A package is not installed.
            UnknownName: It has no such precision.
        """
        if precision not in self.precisions:
            raise UnknownName(
                f"{self.name} has no {precision!r} here. It has: {', '.join(self.precisions)}."
            )
        if missing := self.missing(precision):
            raise MissingExtra(
                f"{self.name} needs what is not installed here: pip install {' '.join(missing)}"
            )

    def prepare(self, model: nn.Module, example: Example, threads: int, precision: str) -> Prepared:
        """Make ``model`` ready for ``example``.

        Args:
            model: In evaluation mode; it is not changed.
            example: A tensor or a tuple of tensors, float32 or integers.
            threads: Of the runtime. Torch's own are the caller's business.
            precision: Of weights, and of activations where the runtime does so.

        Raises:
            MissingExtra: A package is not installed.
            UnknownName: The runtime has no such precision.
            RarefyError: The network is none that the runtime takes.
        """
        self.check(precision)
        with hushed():
            return self.prepare_(model, example, threads, precision)


RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        Runtime("rarefy", _ours.accelerated, precisions=PRECISIONS, sparse=True),
        Runtime("rarefy kernels", _ours.planned, sparse=True),
        Runtime("torch", _torch.eager, precisions=PRECISIONS),
        Runtime("onnxruntime", _onnx.onnxruntime, ("onnxruntime", "onnx")),
        Runtime(
            "openvino", _openvino.openvino, ("openvino",), PRECISIONS, beside={"int8": ("nncf",)}
        ),
        Runtime("torch csr", _torch.csr, sparse=True),
        Runtime("scipy", _scipy.csr, ("scipy",), sparse=True),
        Runtime("deepsparse", _onnx.deepsparse, ("deepsparse", "onnx"), sparse=True),
    )
}
"""By name, in the order in which tables show them."""


def runtime_of(name: str) -> Runtime:
    """The runtime called ``name``.

    Raises:
        UnknownName: There is none.
    """
    if name not in RUNTIMES:
        raise UnknownName(f"there is no runtime {name!r}. There are: {', '.join(RUNTIMES)}.")
    return RUNTIMES[name]


def runtimes() -> tuple[Runtime, ...]:
    """Every runtime that is known here, whether it is installed or not."""
    return tuple(RUNTIMES.values())

"""A dense layer's compressed twin, with all that hangs on the dense one."""

from typing import TypeVar

from torch import Tensor, nn

from rarefy.errors import TargetError
from rarefy.layers._compressed import Compressed
from rarefy.layers._conv2d import SparseConv2d
from rarefy.layers._linear import SparseLinear
from rarefy.layers._start import masked_topology

_PLACES = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
L = TypeVar("L", bound=Compressed)


def supports(module: nn.Module) -> str | None:
    """Why a module has no compressed layer; None where it has one.

    >>> supports(nn.Linear(3, 2)) is None
    True
    >>> supports(nn.ConvTranspose2d(3, 2, 1))
    'it is a ConvTranspose2d; only Linear and Conv2d themselves have a compressed layer'
    """
    if type(module) not in (nn.Linear, nn.Conv2d):
        return (
            f"it is a {type(module).__name__}; only Linear and Conv2d themselves have a "
            "compressed layer"
        )
    return _unlike_itself(module) or _unlike_a_weight(module._parameters["weight"])


def _unlike_itself(module: nn.Module) -> str | None:
    """What was done to the module that a twin could not carry on."""
    if isinstance(module, nn.Conv2d) and module.groups != 1:
        return f"it has {module.groups} groups, and only one can be compressed"
    if set(module._parameters) != {"weight", "bias"} or module._buffers or module._modules:
        return "its weight is parametrized, or it holds more than a weight and a bias"
    if "forward" in vars(module):
        return "its forward was replaced"
    return None


def _unlike_a_weight(weight: nn.Parameter | None) -> str | None:
    """Why the weight cannot be compressed."""
    if type(weight) is not nn.Parameter:
        return f"its weight is a {type(weight).__name__}, no plain Parameter"
    if weight.device.type != "cpu":
        return f"it is on {weight.device}: compressed storage trains on the CPU, so move it there"
    if not weight.is_floating_point() or weight.element_size() < 2:
        return f"its weight is {weight.dtype}, not float16, bfloat16, float32 or float64"
    if not weight.numel():
        return "its weight has no entries"
    return None


def compressed(module: nn.Module, mask: Tensor, slack: float = 0.0) -> SparseLinear | SparseConv2d:
    """The compressed twin of a dense layer; the dense one stays as it is.

    What the mask removes is gone from the twin. Bias, hooks, training flag and the module's other
    attributes are the same objects, dtype and ``requires_grad`` are as they were.

    Args:
        module: An ``nn.Linear`` or ``nn.Conv2d`` on the CPU; see :func:`supports`.
        mask: Bool, of the weight's shape: True where it lives.
        slack: Slots in reserve, as a share of those that live.

    Raises:
        TargetError: The module has no compressed twin.
        PatternError: The mask does not fit the weight.
        BudgetError: The slack is negative.
    """
    reason = supports(module)
    if reason is not None:
        raise TargetError(
            f"{module} cannot be compressed: {reason}. Leave it out with skip=, or train with "
            'storage="masked".'
        )
    if isinstance(module, nn.Linear):
        return _twin(SparseLinear, module, mask, slack)
    return _twin(SparseConv2d, module, mask, slack)


def _twin(kind: type[L], module: nn.Module, mask: Tensor, slack: float) -> L:
    weight, bias = module._parameters["weight"], module._parameters["bias"]
    if weight is None:  # supports() has seen that it is there
        raise TargetError(f"{module} has no weight to compress.")
    topology = masked_topology(tuple(weight.shape), mask, slack)
    values = nn.Parameter(topology.gather(weight.detach()), weight.requires_grad)
    twin = kind.__new__(kind)
    nn.Module.__init__(twin)
    # Hooks among them: the very dictionaries, so that who registered one can still remove it.
    vars(twin).update({name: v for name, v in vars(module).items() if name not in _PLACES})
    twin._assemble(topology, values, bias)
    return twin

"""Which weights of a model are sparsified, and which cannot be."""

import difflib
import fnmatch
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import ParametrizationList

from rarefy.errors import TargetError
from rarefy.targets._model import names_of, plain_name, unwrap
from rarefy.targets._stored import is_stored, stored_shape
from rarefy.targets._view import Target

Choice = str | nn.Module | type[nn.Module]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


def find(
    model: nn.Module,
    only: Choice | Sequence[Choice] | None = None,
    skip: Choice | Sequence[Choice] | None = None,
) -> dict[str, Target]:
    """The weights to sparsify, by parameter name, each once however often it is tied.

    Without ``only``: every Linear, convolution, attention projection and recurrent weight, and
    GPT-2's Conv1D; never a bias, a norm or an embedding.

    Args:
        model: Wrapped or plain.
        only: Names or globs of parameters or modules, module types, or modules. A parameter named
            here is taken whatever its module is.
        skip: What to leave out, said in the same ways.

    Raises:
        TargetError: A choice finds nothing; nothing is left; or a weight cannot be sparsified
            (on meta, fake, a DTensor, quantised, not floating, computed by a parametrization).
    """
    plain = unwrap(model)
    candidates = _candidates(plain)
    chosen = _matching(plain, candidates, only, "only") if only is not None else None
    left_out = _matching(plain, candidates, skip, "skip") if skip is not None else set[str]()
    found: dict[str, Target] = {}
    seen: set[str] = set()
    for names, module, parameter, usual in candidates:
        wanted = usual if chosen is None else bool(chosen & set(names))
        if not wanted or left_out & set(names) or names[0] in seen or _empty(module, parameter):
            continue
        seen.add(names[0])
        weight = _fit(names[0], parameter)
        reader = _reader(names[0], module, candidates)
        found[names[0]] = _target(names, reader, stored_shape(reader) or tuple(weight.shape))
    if not found:
        raise TargetError(
            f"{type(plain).__name__} has no weight to sparsify: no Linear, convolution, attention "
            "or recurrent weight"
            + (" is left by only= and skip=." if only is not None or skip is not None else ".")
            + " Name parameters with only= to take others."
        )
    return found


_Candidate = tuple[tuple[str, ...], nn.Module, Tensor | None, bool]


def _candidates(model: nn.Module) -> list[_Candidate]:
    every = names_of(model)
    found: list[_Candidate] = []
    for path, module in model.named_modules():
        if is_stored(module):
            found.append(_compressed(module, every))
            continue
        for own in _computed(module):
            found.append(((plain_name(f"{path}.{own}" if path else own),), module, None, True))
        for own, parameter in module._parameters.items():
            if parameter is None or (not _lazy(parameter) and parameter.dim() < 2):
                continue
            name = plain_name(f"{path}.{own}" if path else own)
            names = every.get(id(parameter), (name,))
            held = None if isinstance(module, ParametrizationList) else parameter
            found.append((names, module, held, _usual(module, own)))
    # A tied weight counts as usual where any of its modules makes it so: the embedding that lends
    # its weight to the head is the exception, for an embedding is never taken unasked.
    embeddings = {n[0] for n, m, _, _ in found if isinstance(m, nn.Embedding | nn.EmbeddingBag)}
    return [(n, m, p, u and n[0] not in embeddings) for n, m, p, u in found]


def _compressed(module: nn.Module, every: Mapping[int, tuple[str, ...]]) -> _Candidate:
    values = module._parameters["weight_values"]
    names = tuple(name.removesuffix("_values") for name in every[id(values)])
    return names, module, values, True


def _usual(module: nn.Module, own: str) -> bool:
    if isinstance(module, nn.MultiheadAttention):
        return own in _PROJECTIONS
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return own in _recurrent(module)
    if isinstance(module, nn.Linear | nn.Bilinear) or _is_conv1d(module):
        return own == "weight"
    return isinstance(module, (*_CONVOLUTIONS, *_TRANSPOSED)) and own == "weight"


def _is_conv1d(module: nn.Module) -> bool:
    # Hugging Face's Conv1D is a Linear with its weight turned; the package itself is not needed.
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf")


def _target(names: tuple[str, ...], module: nn.Module, shape: tuple[int, ...]) -> Target:
    holder, _, own = names[0].rpartition(".")
    groups, turned = 1, False
    if isinstance(module, _TRANSPOSED):
        groups, turned = module.groups, True
    elif isinstance(module, nn.Embedding | nn.EmbeddingBag) or _is_conv1d(module):
        turned = True
    elif own == "in_proj_weight" and shape[0] % 3 == 0:
        groups = 3
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase) and not own.startswith("weight_hr"):
        groups = _gates(module)
    return Target(names[0], names, holder, shape, groups, turned)


def _matching(
    model: nn.Module,
    candidates: Iterable[_Candidate],
    choices: Choice | Sequence[Choice],
    word: str,
) -> set[str]:
    listed = (
        list(choices)
        if isinstance(choices, Iterable) and not isinstance(choices, str | nn.Module | type)
        else [choices]
    )
    every = {name for names, *_ in candidates for name in names}
    modules = {plain_name(path): unwrap(module) for path, module in model.named_modules()}
    found: set[str] = set()
    for choice in listed:
        hit = {name for name in every if _hits(modules, name, choice)}
        if not hit:
            raise _no_hit(choice, every, word)
        found |= hit
    return found


def _hits(modules: Mapping[str, nn.Module], name: str, choice: Choice) -> bool:
    parents = [name[:i] for i, letter in enumerate(name) if letter == "."]
    if isinstance(choice, str):
        parts = (*parents, name)
        return choice in parts or any(fnmatch.fnmatchcase(part, choice) for part in parts)
    holders = [modules[path] for path in ("", *parents) if path in modules]
    if isinstance(choice, type):
        return any(isinstance(module, choice) for module in holders)
    return any(module is unwrap(choice) for module in holders)


def _no_hit(choice: Choice, every: set[str], word: str) -> TargetError:
    shown = (
        choice if isinstance(choice, str) else getattr(choice, "__name__", type(choice).__name__)
    )
    parts = {name[:i] for name in every for i, letter in enumerate(name) if letter == "."}
    near = difflib.get_close_matches(str(shown), sorted(every | parts), n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return TargetError(
        f"{word}={shown!r} finds no weight.{hint} The weights are: {', '.join(sorted(every))}."
    )


def _computed(module: nn.Module) -> list[str]:
    """Weights that should be parameters of ``module`` and are something else, by a function."""
    wanted: Sequence[str] = ()
    if isinstance(module, (nn.Linear, nn.Bilinear, *_CONVOLUTIONS, *_TRANSPOSED)):
        wanted = ("weight",)
    elif isinstance(module, nn.MultiheadAttention):
        wanted = _PROJECTIONS
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
        wanted = _recurrent(module)
    return [own for own in wanted if own not in module._parameters]


def _recurrent(module: nn.RNNBase | nn.RNNCellBase) -> list[str]:
    if isinstance(module, nn.RNNCellBase):
        return ["weight_ih", "weight_hh"]
    return [own for own in module._flat_weights_names if own.startswith("weight_")]


def _gates(module: nn.RNNBase | nn.RNNCellBase) -> int:
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return 4
    return 3 if isinstance(module, nn.GRU | nn.GRUCell) else 1


def _reader(name: str, module: nn.Module, candidates: Iterable[_Candidate]) -> nn.Module:
    # A weight that an embedding lends to a head is seen as the head sees it: there it multiplies.
    if not isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return module
    others = (m for names, m, *_ in candidates if names[0] == name)
    return next((m for m in others if not isinstance(m, nn.Embedding | nn.EmbeddingBag)), module)


def _empty(module: nn.Module, parameter: Tensor | None) -> bool:
    if is_stored(module):  # where nothing lives there still is a weight
        return False
    return parameter is not None and not _lazy(parameter) and parameter.numel() == 0


def _lazy(parameter: Tensor) -> bool:
    return isinstance(parameter, UninitializedParameter)


def _fit(name: str, parameter: Tensor | None) -> Tensor:
    if parameter is None:
        why: str | None = (
            "is computed (a parametrization, weight_norm or torch.nn.utils.prune), so zeros "
            "written into it would not last: make it a plain parameter first, with "
            "torch.nn.utils.parametrize.remove_parametrizations or torch.nn.utils.prune.remove"
        )
    else:
        why = _without_values(parameter) or _without_places(parameter)
        if why is None:
            return parameter
    raise TargetError(f"{name} {why}. Or leave it out with skip=[{name!r}]. Nothing was changed.")


def _without_values(parameter: Tensor) -> str | None:
    if _lazy(parameter):
        return "has no shape yet (a lazy layer): run one batch through the model first"
    if hasattr(parameter, "device_mesh"):
        return "is a DTensor, spread over ranks: that is not supported yet"
    if isinstance(parameter.data, FakeTensor) or isinstance(parameter, FakeTensor):
        return "is a FakeTensor, without values: build the model outside FakeTensorMode"
    if parameter.device.type == "meta":
        return "is on the meta device, without values: give it some first (to_empty, then load)"
    return None


def _without_places(parameter: Tensor) -> str | None:
    if parameter.layout != torch.strided or parameter.is_quantized:
        return "is not a plain dense tensor (sparse layout or quantised): give the dense model"
    if parameter.is_inference():
        return "was made in inference mode and cannot be written to: build the model outside it"
    sides = zip(parameter.stride(), parameter.shape, strict=True)
    if any(stride == 0 and side > 1 for stride, side in sides):
        return "is expanded, many places share one number: give it memory of its own (.clone())"
    if not parameter.is_floating_point():
        return f"has dtype {parameter.dtype}: only floating weights can be sparsified"
    return None

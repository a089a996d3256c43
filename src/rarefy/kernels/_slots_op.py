"""A compressed layer's product with its gradients: for eager calls, and as operators of torch.

``rarefy::slots(Tensor x, Tensor values, Tensor topology, Tensor? bias, int rows, str geometry)`` is
what compilers see; an eager call goes past the dispatcher.
"""

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch._C import _get_dispatch_mode as mode_of
from torch._C import _len_torch_dispatch_stack as len_torch_dispatch_stack
from torch._C import _TorchDispatchModeKey as ModeKey
from torch._C._functorch import peek_interpreter_stack
from torch.autograd.function import FunctionCtx

from rarefy.errors import AttachError
from rarefy.kernels._geometry import Geometry
from rarefy.kernels._slots import Products
from rarefy.kernels._slots_held import Held, products_of

_LIBRARY = torch.library.Library("rarefy", "FRAGMENT")
_TRACERS = (ModeKey.FAKE, ModeKey.PROXY, ModeKey.FUNCTIONAL)


def slots(
    x: Tensor, values: Tensor, topology: Tensor, bias: Tensor | None, rows: int, held: Held
) -> Tensor:
    """The output of a compressed layer, differentiable once.

    Args:
        x: Inputs, as :class:`rarefy.kernels.Products` takes them.
        values: (capacity,).
        topology: The buffer that :class:`rarefy.kernels.Topology` reads.
        bias: (rows,), or none.
        rows: Outputs of the layer.
        held: What the layer holds of the buffer.

    Raises:
        PatternError: The tensors do not fit each other.
        StateError: The buffer is damaged.
    """
    if torch.compiler.is_compiling() or not _is_eager(x, topology):
        return _call("slots", x, values, topology, bias, rows, held.text)
    if torch.is_grad_enabled():
        differentiable: Tensor = _Slots.apply(x, values, bias, topology, held)  # type: ignore[no-untyped-call]
        return differentiable
    return held.products(topology).forward(x, values, bias)


def _is_eager(*tensors: Tensor) -> bool:
    """Whether these are real tensors and nobody writes down what is done with them."""
    if any(type(each) not in (Tensor, nn.Parameter) or each.is_meta for each in tensors):
        return False
    if peek_interpreter_stack() is not None or torch._C._get_tracing_state() is not None:
        return False
    return len_torch_dispatch_stack() == 0 or all(mode_of(key) is None for key in _TRACERS)


class _Slots(torch.autograd.Function):
    """The product in an eager call."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch has no type for what may be put on it
        x: Tensor,
        values: Tensor,
        bias: Tensor | None,
        topology: Tensor,
        held: Held,
    ) -> Tensor:
        # Not the products: a loss that is kept would keep them, code and all, beyond a change.
        ctx.held = held
        needed = ctx.needs_input_grad
        # The topology is saved so that torch refuses a backward pass after it was written to.
        ctx.save_for_backward(x if needed[1] else None, values if needed[0] else None, topology)
        ctx.x_shape = x.shape
        return held.products(topology).forward(x, values, bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, values, topology = ctx.saved_tensors
        products = ctx.held.products(topology)
        if not torch.is_grad_enabled():
            return *_gradients(ctx, products, x, values, dy), None, None
        with torch.no_grad():
            found = _gradients(ctx, products, x, values, dy)
        found = _Once.apply(x, values, dy, *found)  # type: ignore[no-untyped-call]
        return *found, None, None


def _gradients(
    ctx: Any,  # noqa: ANN401
    products: Products,
    x: Tensor | None,
    values: Tensor | None,
    dy: Tensor,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    for_bias, dy = ctx.needs_input_grad[2], products.batch_of_outputs(dy)
    for_x = products.input_gradient(dy, values, ctx.x_shape) if values is not None else None
    for_values = None
    if x is not None:
        ctx.held.records.add(products, x, dy)
        for_values = products.weight_gradient(x, dy)
    return for_x, for_values, products.bias_gradient(dy) if for_bias else None


class _Once(torch.autograd.Function):
    """Gradients that cannot be differentiated again."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor | None,
        values: Tensor | None,
        dy: Tensor,
        *found: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        del ctx, x, values, dy  # what the gradients depend on
        return tuple(each if each is None else each.view_as(each) for each in found)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> NoReturn:
        del ctx, gradients
        _refuse_twice()


def _refuse_twice() -> NoReturn:
    raise AttachError(
        "a compressed layer has no second derivatives. Leave out create_graph=True, or train with "
        'storage="masked", whose layers are ordinary ones.'
    )


# -- operators


def _run(
    x: Tensor, values: Tensor, topology: Tensor, bias: Tensor | None, rows: int, geometry: str
) -> Tensor:
    del rows  # the topology says it as well
    return products_of(topology, geometry)[0].forward(x, values, bias)


def _run_fake(
    x: Tensor, values: Tensor, topology: Tensor, bias: Tensor | None, rows: int, geometry: str
) -> Tensor:
    del values, topology, bias
    if not geometry:
        return x.new_empty((*x.shape[:-1], rows))
    image = Geometry.of_text(geometry).image((x.shape[-2], x.shape[-1]))
    return x.new_empty((*x.shape[:-3], rows, *image))


def _run_input(
    dy: Tensor, values: Tensor, topology: Tensor, shape: list[int], geometry: str
) -> Tensor:
    products, _ = products_of(topology, geometry)
    return products.input_gradient(dy, values, torch.Size(shape))


def _run_input_fake(
    dy: Tensor, values: Tensor, topology: Tensor, shape: list[int], geometry: str
) -> Tensor:
    del values, topology, geometry
    return dy.new_empty(shape)


def _run_weight(x: Tensor, dy: Tensor, topology: Tensor, capacity: int, geometry: str) -> Tensor:
    del capacity
    products, records = products_of(topology, geometry)
    records.add(products, x, dy)
    return products.weight_gradient(x, dy)


def _run_weight_fake(
    x: Tensor, dy: Tensor, topology: Tensor, capacity: int, geometry: str
) -> Tensor:
    del dy, topology, geometry
    return x.new_empty(capacity)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ANN401
    del output
    x, values, topology, _, _, ctx.geometry = inputs
    ctx.save_for_backward(x, values, topology)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
    x, values, topology = ctx.saved_tensors
    needed, geometry = ctx.needs_input_grad, ctx.geometry
    for_x = for_values = for_bias = None
    if needed[0]:
        for_x = _call("slots_input_gradient", dy, values, topology, x.shape, geometry)
    if needed[1]:
        capacity = values.shape[0]
        for_values = _call("slots_weight_gradient", x, dy, topology, capacity, geometry)
    if needed[3]:
        outputs = -3 if geometry else -1
        others = [side for side in range(dy.dim()) if side != dy.dim() + outputs]
        for_bias = dy.sum(others) if others else dy
    return for_x, for_values, None, for_bias, None, None


def _differentiate_twice(ctx: Any, *gradients: Tensor) -> NoReturn:  # noqa: ANN401
    del ctx, gradients
    _refuse_twice()


def _open(
    name: str, remember: Callable[..., None], differentiate: Callable[..., Any]
) -> type[torch.autograd.Function]:
    """An operator for torch.func.grad and its like, which cannot use the registered derivative."""
    operator = getattr(torch.ops.rarefy, name)

    class Open(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*inputs: Any) -> Tensor:  # noqa: ANN401
            found: Tensor = operator(*inputs)
            return found

        setup_context = staticmethod(remember)
        backward = staticmethod(differentiate)

    return Open


def _call(name: str, *inputs: Any) -> Tensor:  # noqa: ANN401
    """An operator's result, for compilers, tracers and transforms alike."""
    if torch.compiler.is_compiling() or peek_interpreter_stack() is None:
        run: Callable[..., Tensor] = getattr(torch.ops.rarefy, name)
    else:
        run = _OPEN[name].apply
    return run(*inputs)


def _forget(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ANN401
    """Save nothing: what comes next is a refusal."""


def _register(form: str, run: Any, fake: Any) -> None:  # noqa: ANN401
    name = form.partition("(")[0]
    _LIBRARY.define(f"{form} -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(name, run, "CompositeExplicitAutograd")
    torch.library.register_fake(f"rarefy::{name}", fake, lib=_LIBRARY)


_register(
    "slots(Tensor x, Tensor values, Tensor topology, Tensor? bias, int rows, str geometry)",
    _run,
    _run_fake,
)
_register(
    "slots_input_gradient(Tensor dy, Tensor values, Tensor topology, SymInt[] shape, str geometry)",
    _run_input,
    _run_input_fake,
)
_register(
    "slots_weight_gradient(Tensor x, Tensor dy, Tensor topology, int capacity, str geometry)",
    _run_weight,
    _run_weight_fake,
)
torch.library.register_autograd(
    "rarefy::slots", _differentiate, setup_context=_remember, lib=_LIBRARY
)
_OPEN = {"slots": _open("slots", _remember, _differentiate)}
for _name in ("slots_input_gradient", "slots_weight_gradient"):
    torch.library.register_autograd(f"rarefy::{_name}", _differentiate_twice, lib=_LIBRARY)
    _OPEN[_name] = _open(_name, _forget, _differentiate_twice)

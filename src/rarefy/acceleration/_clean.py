"""Takes from a traced graph what does nothing in inference, and names things plainly.

Each change keeps what the graph computes: it is the same numbers by fewer or plainer operations.
"""

import math
from collections.abc import Callable

import torch
from torch import fx

from rarefy.acceleration._trace import whole

_ATEN = torch.ops.aten

_PURE = {
    _ATEN.relu_.default: _ATEN.relu.default,
    _ATEN.add_.Tensor: _ATEN.add.Tensor,
    _ATEN.mul_.Tensor: _ATEN.mul.Tensor,
    _ATEN.hardtanh_.default: _ATEN.hardtanh.default,
    _ATEN.silu_.default: _ATEN.silu.default,
    _ATEN.gelu_.default: _ATEN.gelu.default,
    _ATEN.relu6_.default: _ATEN.relu6.default,
    _ATEN.clamp_.default: _ATEN.clamp.default,
}
"""Operations that write into their first argument, and their twins that do not."""


def clean(graph: fx.Graph) -> None:
    """Clean ``graph``, in place.

    Out go dropout in evaluation, conversions to what is there already, full slices, and checks;
    in-place activations become plain where nobody sees the difference, GPT-2's layers become
    linear ones, and a hand-written GELU becomes one operation.
    """
    for node in list(graph.nodes):
        if node.op == "call_function":
            for tidy in (_pass_through, _purify, _check, _gelu):
                if tidy(node):
                    break
    for node in list(graph.nodes):
        if node.target is _ATEN.addmm.default:
            _as_linear(graph, node)
    graph.eliminate_dead_code(is_impure_node=_writes)


def writes(node: fx.Node) -> bool:
    """Whether the operation changes one of its arguments."""
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _writes(node: fx.Node) -> bool:
    return node.op in ("placeholder", "output") or writes(node)


def _replace(node: fx.Node, by: fx.Node) -> bool:
    node.replace_all_uses_with(by)
    node.graph.erase_node(node)
    return True


def _pass_through(node: fx.Node) -> bool:
    if not node.args or not isinstance(node.args[0], fx.Node):
        return False
    before = node.args[0]
    if node.target is _ATEN.dropout.default and not node.args[2]:
        return _replace(node, before)
    same = _like(node) == _like(before)
    if node.target in _CONVERSIONS and same and not any(node.kwargs.get(k) for k in _COPIES):
        return _replace(node, before)
    full = node.target is _ATEN.slice.Tensor and len(node.args) >= 4
    if full and same and node.args[2:4] == (0, 2**63 - 1) and node.args[4:] in ((), (1,)):
        return _replace(node, before)
    return False


_COPIES = ("copy", "memory_format")
_CONVERSIONS = (
    _ATEN.to.dtype,
    _ATEN.to.device,
    _ATEN.to.dtype_layout,
    _ATEN.to.other,
)


def _like(node: fx.Node) -> tuple[object, ...] | None:
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        return None
    return (shape_of(node), value.dtype, value.device, value.layout)


def shape_of(node: fx.Node) -> tuple[int | str, ...]:
    """Sides of what the node gives: numbers where fixed, else the symbols' text.

    Two shapes are equal for every input of the graph if these are equal.
    """
    return tuple(
        str(side) if (fixed := whole(side)) is None else fixed for side in node.meta["val"].shape
    )


def _purify(node: fx.Node) -> bool:
    if node.target not in _PURE:
        return False
    written = node.args[0]
    # Another reader, or an alias of the memory, would see what was written.
    if isinstance(written, fx.Node) and len(written.users) == 1 and _owns_memory(written):
        node.target = _PURE[node.target]
    return True


def _owns_memory(node: fx.Node) -> bool:
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return False
    if node.target in _PURE:  # not purified itself, so somebody shares its memory
        return False
    return all(value.alias_info is None for value in node.target._schema.returns)


def _check(node: fx.Node) -> bool:
    checks = (_ATEN._assert_tensor_metadata.default, _ATEN.sym_constrain_range_for_size.default)
    if node.target in checks and not node.users:
        node.graph.erase_node(node)
        return True
    return False


def _as_linear(graph: fx.Graph, node: fx.Node) -> None:
    """``view(addmm(b, view(x), w))`` where the views only flatten tokens: ``linear(x, w.t(), b)``.

    So GPT-2's Conv1D takes part in chains as any other layer does.
    """
    bias, flat, weight = node.args[:3]
    if len(node.users) != 1 or node.kwargs or len(node.args) > 3:
        return
    after = next(iter(node.users))
    if not (isinstance(flat, fx.Node) and isinstance(weight, fx.Node)):
        return
    views = (_ATEN.view.default, _ATEN.reshape.default)
    if flat.target not in views or after.target not in views:
        return
    whole_input = flat.args[0]
    if not isinstance(whole_input, fx.Node) or weight.op != "get_attr":
        return
    before, flattened, result = shape_of(whole_input), shape_of(flat), shape_of(after)
    if before[-1:] != flattened[-1:] or (*before[:-1], *shape_of(node)[-1:]) != result:
        return
    with graph.inserting_before(node):
        turned = graph.call_function(_ATEN.t.default, (weight,))
        turned.meta["val"] = weight.meta["val"].t()
        linear = graph.call_function(_ATEN.linear.default, (whole_input, turned, bias))
    linear.meta.update(after.meta)
    linear.meta["stack_trace"] = node.meta.get("stack_trace")
    _replace(after, linear)
    graph.erase_node(node)


def _gelu(node: fx.Node) -> bool:
    """``0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``, written out, as one operation."""
    found = _tanh_gelu(node)
    if found is None:
        return False
    with node.graph.inserting_before(node):
        whole_gelu = node.graph.call_function(_ATEN.gelu.default, (found,), {"approximate": "tanh"})
    whole_gelu.meta.update(node.meta)
    return _replace(node, whole_gelu)


def _tanh_gelu(node: fx.Node) -> fx.Node | None:
    half, one_plus = _two(node, _ATEN.mul.Tensor)
    x = _scaled(half, _ATEN.mul.Tensor, 0.5)
    bend = _scaled(one_plus, _ATEN.add.Tensor, 1.0)
    if x is None or bend is None or bend.target is not _ATEN.tanh.default:
        return None
    inner = _scaled(bend.args[0], _ATEN.mul.Tensor, math.sqrt(2 / math.pi))
    line, cubic = _two(inner, _ATEN.add.Tensor)
    cube = _scaled(cubic, _ATEN.mul.Tensor, 0.044715)
    if line is not x or _scaled(cube, _ATEN.pow.Tensor_Scalar, 3.0) is not x:
        return None
    return x


def _two(node: object, target: Callable[..., object]) -> tuple[object, object]:
    if isinstance(node, fx.Node) and node.target is target and len(node.args) == 2:
        return node.args[0], node.args[1]
    return None, None


def _scaled(node: object, target: Callable[..., object], number: float) -> fx.Node | None:
    """The other argument of ``target``, if one of them is this number."""
    first, second = _two(node, target)
    if isinstance(second, float | int) and math.isclose(second, number, rel_tol=1e-6):
        return first if isinstance(first, fx.Node) else None
    return None

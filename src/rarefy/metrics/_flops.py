"""FLOPs of one forward pass: dense, and those left where the weights are zero."""

import bisect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from rarefy.metrics._example import Example, batch_of, run
from rarefy.metrics._slot_flops import Flops, SlotFlops, WeightFlops
from rarefy.metrics._undisturbed import undisturbed
from rarefy.targets import names_of, unwrap

Shape = Sequence[int]


def flops(model: nn.Module, example: Example) -> Flops:
    """Dense and effective FLOPs of ``model`` on ``example``; the model is left undisturbed.

    A product is matched with its weight by memory, so a module with several weights (attention)
    and a tied weight are told apart. Weights whose operation torch's counter does not know (an
    LSTM on the CPU) are named in ``not_counted``.

    Args:
        model: Wrapped or plain; run once in evaluation mode, without autograd.
        example: A tensor, a tuple of positional arguments, or a mapping of keyword arguments.
    """
    plain = unwrap(model)
    counter = FlopCounterMode(display=False, custom_mapping=_ATTENTION)
    ledger, compressed = _Ledger(plain, counter), SlotFlops(plain, counter)
    # The fused encoder layer is one operation that the counter does not know.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with undisturbed(plain), torch.no_grad(), counter, ledger, compressed:
            run(plain, example)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    found = ledger.flops(counter.get_total_flops() - compressed.aside, batch_of(example))
    return compressed.beside(found)


def _attention(query: Shape, key: Shape, value: Shape, *_: object, **__: object) -> int:
    return int(sdpa_flop_count(query, key, value))


# torch's table knows the attention of accelerators; this is the CPU's.
_ATTENTION: dict[Any, Callable[..., int]] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention
}


class _Ledger(TorchDispatchMode):
    """Books what each operation added to the counter on the weight it read."""

    def __init__(self, model: nn.Module, counter: FlopCounterMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self._counter = counter
        self._starts: list[int] = []
        self._ranges: list[tuple[int, str]] = []
        self._held: list[Tensor] = []
        self._nonzero: dict[tuple[Any, ...], int] = {}
        self._dense: dict[str, int] = {}
        self._effective: dict[str, int] = {}
        self._unknown: dict[str, str] = {}
        self._touched: set[str] = set()
        names = names_of(model)
        self._weights = [names[id(p)][0] for p in model.parameters() if p.dim() > 1]
        self._looked_up = _only_looked_up(model)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                self._own(parameter, names[id(parameter)][0])

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        before = self._counter.get_total_flops()
        result: object = func(*args, **(kwargs or {}))
        spent = self._counter.get_total_flops() - before
        tensors = _tensors(args)
        owned = [part for part in tensors if self._owner(part) is not None]
        if not owned or func.is_view:
            return result
        owners = [str(self._owner(part)) for part in owned]
        self._touched.update(owners)
        if spent:
            self._book(owners[0], owned[0], spent)
        elif isinstance(result, Tensor) and len(tensors) == 1 and result.shape == tensors[0].shape:
            self._own(result, owners[0])  # a cast, a copy, a rescaling: still this weight
        elif torch.Tag.pointwise not in func.tags:
            why = f"read by {func.overloadpacket}, which torch does not count"
            self._unknown.update(dict.fromkeys(owners, why))
        return result

    def _book(self, owner: str, operand: Tensor, spent: int) -> None:
        self._dense[owner] = self._dense.get(owner, 0) + spent
        # A product's FLOPs are a multiple of the operand's elements, so this is exact.
        effective = spent * self._count(operand) // operand.numel()
        self._effective[owner] = self._effective.get(owner, 0) + effective

    def flops(self, total: int, batch: int | None) -> Flops:
        weights = {
            name: WeightFlops(self._dense[name], self._effective[name])
            for name in self._weights
            if name in self._dense
        }
        missing = {
            name: self._unknown.get(name, "not reached by this example")
            for name in self._weights
            if name not in self._dense
            and name not in self._looked_up
            and (name in self._unknown or name not in self._touched)
        }
        other = total - sum(self._dense.values())
        return Flops(weights, other, missing, batch)

    def _own(self, tensor: Tensor, name: str) -> None:
        start = tensor.data_ptr()
        end = start + tensor.numel() * tensor.element_size()
        place = bisect.bisect_left(self._starts, start)
        if place < len(self._starts) and self._starts[place] == start:
            return
        self._held.append(tensor)  # or its memory could be given to another tensor
        self._starts.insert(place, start)
        self._ranges.insert(place, (end, name))

    def _owner(self, tensor: Tensor) -> str | None:
        if not tensor.numel():
            return None
        place = bisect.bisect_right(self._starts, tensor.data_ptr()) - 1
        if place < 0:
            return None
        end, name = self._ranges[place]
        return name if tensor.data_ptr() < end else None

    def _count(self, operand: Tensor) -> int:
        key = (operand.data_ptr(), tuple(operand.shape), operand.stride(), operand.dtype)
        if key not in self._nonzero:
            self._nonzero[key] = int(torch.count_nonzero(operand))
        return self._nonzero[key]


def _tensors(args: object) -> list[Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(args) if isinstance(leaf, Tensor)]


def _only_looked_up(model: nn.Module) -> set[str]:
    # A look-up multiplies nothing, so there is nothing to miss in it.
    names = names_of(model)
    every = [m for m in model.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)]
    return {names[id(module.weight)][0] for module in every}

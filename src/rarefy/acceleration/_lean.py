"""A weight without its zeros: a parameter whose values are only in packed bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from rarefy.errors import TargetError
from rarefy.kernels import Section, pack, unpack

_LIBRARY = torch.library.Library("rarefy", "FRAGMENT")
_LIBRARY.define("dense_weight(Tensor packed, SymInt[] shape, bool turned) -> Tensor")


def _dense_weight(packed: Tensor, shape: Sequence[int], turned: bool) -> Tensor:
    matrix = unpack(Section("tiles", packed))
    return matrix.t().contiguous() if turned else matrix.reshape(tuple(shape)).clone()


def _fake_weight(packed: Tensor, shape: Sequence[int], turned: bool) -> Tensor:
    del turned
    return packed.new_empty(tuple(shape), dtype=torch.float32)


_LIBRARY.impl("dense_weight", _dense_weight, "CPU")
torch.library.register_fake("rarefy::dense_weight", _fake_weight, lib=_LIBRARY)

_SAME = (torch.ops.aten.detach.default, torch.ops.aten.alias.default, torch.ops.aten.clone.default)


class _Held:
    """The values of a weight and of all tensors that share its memory."""

    __slots__ = ("dense", "packed", "reads", "turned", "version", "writes")

    def __init__(self, packed: Tensor, turned: bool) -> None:
        self.packed = packed
        self.turned = turned
        self.dense: Tensor | None = None
        """Kept once somebody may hold a view of it, who may write to it."""
        self.version = 0
        """That of the weight when ``dense`` held the values of ``packed``."""
        self.reads = 0
        self.writes = 0

    def write(self, values: Tensor) -> None:
        self.packed = pack(values.t().contiguous() if self.turned else values).data
        self.dense = None
        self.writes += 1

    def take_over(self, version: int) -> None:
        """Pack what was written through a view of the dense values, which the weight counts."""
        dense = self.dense
        if dense is not None and self.version != version:
            self.write(dense)
            self.dense, self.version = dense, version


class LeanWeight(Tensor):
    """A float32 weight that is made dense whenever something but its chain reads it.

    To torch it is a parameter as any other: it has its shape and dtype, every operation gives
    what it gives for the dense weight, and what is written to it or to a view of it is packed.
    From the second reading on, or once there is a view, the dense values stay: whoever reads a
    weight in each call shall not wait for it.
    """

    _held: _Held

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls: Any, packed: Tensor, shape: Sequence[int], turned: bool) -> LeanWeight:  # noqa: ANN401
        """Args are the bytes of a ``tiles`` section, the shape, and if inputs come first in it."""
        made: LeanWeight = torch.Tensor._make_wrapper_subclass(
            cls, tuple(shape), dtype=torch.float32, device=packed.device, requires_grad=False
        )
        made._held = _Held(packed, turned)
        return made

    @property
    def _bytes(self) -> Tensor:
        self._held.take_over(self._count)
        return self._held.packed

    @property
    def section(self) -> Section:
        """The packed bytes, outputs first."""
        return Section("tiles", self._bytes)

    @property
    def turned(self) -> bool:
        """Whether inputs come first, as in GPT-2's Conv1D."""
        return self._held.turned

    @property
    def _count(self) -> int:
        return -1 if self.is_inference() else self._version

    @property
    def stamp(self) -> tuple[int, ...]:
        """Something else after every write, to it or to a view of it."""
        return self._count, self._held.writes

    def move_to(self, packed: Tensor) -> None:
        """Take these bytes for the same values, so that the own ones can go."""
        self._held.packed = packed

    def dense(self) -> Tensor:
        """The values; not to be written to."""
        return self._dense(stays=False)

    def _dense(self, stays: bool) -> Tensor:
        held = self._held
        if held.dense is not None:
            return held.dense
        with torch.inference_mode(False), torch.no_grad():
            made: Tensor = torch.ops.rarefy.dense_weight(held.packed, self.shape, held.turned)
        held.reads += 1
        if (stays or held.reads > 1) and type(held.packed) is Tensor:  # not while it is traced
            held.dense, held.version = made, self._count
        return made

    def _viewed(self) -> Tensor:
        return self._dense(stays=True)

    def numpy(self, *, force: bool = False) -> Any:  # noqa: ANN401 - an array, as the base gives
        """A copy of the values."""
        return self.dense().clone().numpy(force=force)

    def tolist(self) -> Any:  # noqa: ANN401 - lists of lists, as the base gives
        """The values."""
        return self.dense().tolist()

    @property
    def data(self) -> Tensor:
        """The same values, without history."""
        return self.detach()

    @data.setter
    def data(self, values: Tensor) -> None:
        if values.dtype is not torch.float32 or values.shape != self.shape or not values.is_cpu:
            raise TargetError(
                f"a packed weight takes float32 values of shape {tuple(self.shape)} on the CPU; "
                f"found {values.dtype} of shape {tuple(values.shape)} on {values.device}. Put a "
                "new nn.Parameter in its place, or convert the whole model with .to()."
            )
        self._held.write(values)

    def data_ptr(self) -> int:
        """Address of the packed bytes."""
        return self._bytes.data_ptr()

    @property
    def held(self) -> int:
        """Bytes that are really held."""
        kept = 0 if self._held.dense is None else 4 * math.prod(self.shape)
        return self._bytes.numel() + kept

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch types it without its class
        cls,
        func: Callable[..., Any],
        types: Sequence[Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the operation gives
        del types
        if func in _SAME and isinstance(args[0], LeanWeight):
            with torch.inference_mode(False):  # so that it shares the count of writes
                made = cls(args[0]._bytes, args[0].shape, args[0].turned)
            if func is not torch.ops.aten.clone.default:
                made._held = args[0]._held
            return made
        schema = func._schema  # type: ignore[attr-defined]  # an operation of torch's
        if schema.is_mutable:
            return _write(func, args, kwargs or {})
        views = any(returned.alias_info is not None for returned in schema.returns)
        values = LeanWeight._viewed if views else LeanWeight.dense
        plain, named = _pytree.tree_map_only(LeanWeight, values, (args, kwargs or {}))
        return func(*plain, **named)

    def __tensor_flatten__(self) -> tuple[list[str], tuple[Any, ...]]:
        return ["_bytes"], (tuple(self.shape), self.turned)

    @staticmethod
    def __tensor_unflatten__(
        inner: dict[str, Tensor], context: tuple[Any, ...], size: object, stride: object
    ) -> LeanWeight:
        del size, stride
        return LeanWeight(inner["_bytes"], *context)

    def __deepcopy__(self, memo: dict[int, Any]) -> LeanWeight:
        if id(self) not in memo:
            # Nobody writes to packed bytes: both may read the same.
            memo[id(self)] = lean_parameter(self._bytes, self.shape, self.turned)
        return memo[id(self)]  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as the base has it
        del protocol
        # Not as a tensor: it is a view of the chain's bytes, whose memory would all go along.
        return _from_bytes, (self._bytes.numpy().tobytes(), tuple(self.shape), self.turned)

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]  # noqa: ANN401 - torch passes one
        return f"LeanWeight(shape={tuple(self.shape)}, {self.held} bytes)"


def _write(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    """On a dense copy, which is packed again."""

    def copied(weight: LeanWeight) -> Tensor:
        return weight.dense().clone()

    plain, named = _pytree.tree_map_only(LeanWeight, copied, (args, kwargs))
    result = func(*plain, **named)
    for old, new in zip(args, plain, strict=True):
        if isinstance(old, LeanWeight):
            old._held.write(new)
    return args[0] if isinstance(args[0], LeanWeight) else result


def _from_bytes(packed: bytes, shape: Sequence[int], turned: bool) -> LeanWeight:
    return lean_parameter(torch.frombuffer(bytearray(packed), dtype=torch.uint8), shape, turned)


def lean_parameter(packed: Tensor, shape: Sequence[int], turned: bool) -> LeanWeight:
    """The weight as a frozen parameter."""
    made: Any = nn.Parameter(LeanWeight(packed, shape, turned), requires_grad=False)
    if not isinstance(made, LeanWeight):
        raise TypeError("torch no longer keeps the type of a parameter")
    return made

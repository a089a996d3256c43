"""What the hooks call where weights are compressed: the topology moves where masks would."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from rarefy._places import in_order
from rarefy.communication import check_agreement, world_size
from rarefy.errors import InvariantError, PatternError, ScoreError, TargetError
from rarefy.masks import MaskSet, PlacedMasks, Storage
from rarefy.selection import generator_for, wants
from rarefy.targets import Target, stored_of
from rarefy.training._commit import commit
from rarefy.training._draws import drawn_at
from rarefy.training._method import Plan
from rarefy.training._moving import Moving
from rarefy.training._optimizers import Optimizers, state_like
from rarefy.training._recorder import Recorder
from rarefy.training._slot_exchange import Exchanged, Slots, dropping, growing
from rarefy.training._sparsifier import Sparsifier
from rarefy.training._tiles import tiles_of


class CompressedDriven(Sparsifier):
    """A model, its compressed weights and the plan they follow."""

    def __init__(self, model: nn.Module, targets: Mapping[str, Target], plan: Plan) -> None:
        self._recorder = Recorder()
        super().__init__(model, targets, MaskSet({}), plan)

    # -- what it knows

    @property
    def masks(self) -> MaskSet:
        """Which weights are kept now; a mask is made when it is asked for."""
        return PlacedMasks({n: (_small(s), s.weight_shape()) for n, s in self.storages().items()})

    @property
    def sparsity(self) -> float:
        """Share of the weights that is removed now."""
        size = self._size()
        return 1 - self._count() / size if size else 0.0

    def storages(self) -> dict[str, Storage]:
        """The compressed layers by the name of their weight, looked up now.

        Raises:
            TargetError: A layer is gone, or is no compressed one any more.
        """
        model, found = self.model, {}
        for name in self.targets:
            layer = stored_of(model, name)
            if layer is None:
                raise TargetError(
                    f"the model has no compressed weight {name!r} any more. A layer was replaced "
                    "or removed: detach() the Sparsifier and call rarefy.hold() on the model."
                )
            found[name] = cast(Storage, layer)
        return found

    def weights(self) -> dict[str, nn.Parameter]:
        """The values by the ordinary name of their weight, looked up now."""
        return {name: storage.weight_values for name, storage in self.storages().items()}

    def _count(self) -> int:
        return sum(storage.count() for storage in self.storages().values())

    def _measured_spreads(self) -> dict[str, float]:
        return {}  # of the dense weights: handed over by whoever still had them

    def _size(self) -> int:
        return sum(math.prod(target.shape) for target in self.targets.values())

    # -- what the hooks call

    def attach(self, optimizer: Optimizers) -> None:
        """Follow the plan through this optimizer's steps; see :meth:`Sparsifier.attach`."""
        super().attach(optimizer)
        self._record()

    def detach(self) -> None:
        """Take the hooks off. The topology stays as it is."""
        super().detach()
        self._recorder.switch(None)

    def arrived(self, name: str, gradient: Tensor, held: Tensor | None) -> Tensor | None:
        """A gradient of living weights arrived: nothing has to be zeroed."""
        del gradient
        if held is None:
            self._fresh[name] = self._fresh.get(name, 0) + 1
        self._recorder.arrived(name, self.storages()[name], held)
        return None

    def clear_gradients(self) -> None:
        """Nothing is removed in gradients that are of living weights alone."""

    def before(self, scale: float) -> bool:
        """A step is about to happen; True where an exchange takes its place.

        Raises:
            ScoreError: A gradient is not finite; the weight is named, and no step is taken.
        """
        for name, weight in self.weights().items():
            if weight.grad is not None:
                _refuse_odd(name, weight.grad.detach())
        return super().before(scale)

    def after(self, scale: float) -> None:
        """The counted step has happened."""
        super().after(scale)
        self._record()

    def _record(self) -> None:
        self._recorder.switch(self.storages() if self._hooks and self.dense_wanted else None)

    @torch.no_grad()
    def hold(self) -> None:
        """Zero the slots in reserve, in values and in every state tensor of their shape."""
        weights = self.weights()
        for _, tensor in self._padding():
            tensor.zero_()
        self._versions = {name: weight._version for name, weight in weights.items()}

    def _padding(self) -> Iterator[tuple[str, Tensor]]:
        for name, storage in self.storages().items():
            weight, count = storage.weight_values, storage.count()
            if count == weight.numel():
                continue
            yield name, weight.detach()[count:]
            for optimizer in self._hooks.optimizers if self._hooks else ():
                for key, value in state_like(optimizer, weight):
                    yield f"{name}: {key} of {type(optimizer).__name__}", value[count:]

    def _check_zeros(self, weights: Mapping[str, nn.Parameter]) -> None:
        del weights
        for name, tensor in self._padding():
            if tensor.any():
                raise InvariantError(
                    f"{name}: {int((tensor != 0).sum())} slots in reserve are not zero. Something "
                    "wrote to them beside the attached optimizer: zero them with sparsifier.hold()."
                )

    # -- changing the topology

    def _change(self, extra: Mapping[str, Mapping[str, Tensor]]) -> bool:
        """Exchange, where the plan says so; True if anything changed."""
        del extra
        plan = self.plan
        if plan.method.growth.arrivals is None:
            return False
        slots = {
            n: self._slots(n, s, s.weight_values.grad)
            for n, s in self.storages().items()
            if self._moves(s)
        }
        sides = {name: dropping(plan, name, each, self.step) for name, each in slots.items()}
        found = {
            name: living
            for name, side in sides.items()
            if side.count and (living := growing(plan, name, slots[name], side, self.step))
        }
        if not found:
            return False
        self._move(found)
        return True

    def _moves(self, storage: Storage) -> bool:
        """Whether a weight takes part in an exchange: trained, with something known of it."""
        weight, method = storage.weight_values, self.plan.method
        kinds = {*wants(method.score), *method.growth.evidence}
        # Where nothing stands out, growth would only shuffle.
        stands_out = "weight" not in method.growth.evidence or bool(weight.detach().any())
        known = "gradient" not in kinds or weight.grad is not None
        return weight.requires_grad and stands_out and known

    def _gradients(self, scale: float) -> dict[str, Mapping[str, Tensor]]:
        del scale  # ranks within a weight do not change with it
        return {}

    def _living(self, name: str, gradient: Tensor) -> Tensor:
        del name
        return gradient

    def _slots(self, name: str, storage: Storage, gradient: Tensor | None) -> Slots:
        tiles = tiles_of(self.plan.method.pattern, self.targets[name].matrix_shape)
        if tiles is None:
            raise PatternError(
                f"{name}: units of {self.plan.method.pattern} cannot be moved in a compressed "
                "weight; unstructured, block and row can. Use storage='masked'."
            )
        weight = storage.weight_values
        rows = storage.gradient_rows if self.plan.replaces_step else None
        return Slots(tiles, storage.places(), weight.detach(), gradient, rows)

    def _move(self, found: Mapping[str, Exchanged]) -> None:
        """Let other places live, in all of these weights or in none."""
        storages = self.storages()
        moving = {name: Moving(storages[name], each) for name, each in found.items()}
        if world_size() > 1:
            places = {n: moving.get(n, s).places() for n, s in storages.items()}
            shapes = {name: storage.weight_shape() for name, storage in storages.items()}
            agreed = PlacedMasks({name: (places[name], shapes[name]) for name in shapes})
            check_agreement(agreed, step=self.step)
        optimizers = self._hooks.optimizers if self._hooks else []
        moves = [
            move
            for name, each in moving.items()
            for move in each.moves(optimizers, self._started(name, each))
        ]
        interrupted = commit(moves)
        self._versions = {name: weight._version for name, weight in self.weights().items()}
        churn = sum(e.born.slots.numel() for e in moving.values()) / max(self._count(), 1)
        self.history.note(self.step, sparsity=self.sparsity, churn=churn)
        if interrupted is not None:
            raise interrupted

    def _started(self, name: str, moving: Moving) -> Tensor | None:
        growth = self.plan.method.growth
        if growth.start == "zero" or not moving.born.slots.numel():
            return None
        spread = self.spreads[name] if growth.spread is None else growth.spread
        generator = generator_for(self.plan.seed, self.step, name, "start")
        ascending, order = in_order(moving.born.places)
        values = torch.empty(ascending.shape)
        size = math.prod(self.targets[name].shape)
        values[order] = drawn_at(ascending, size, torch.randn, generator).mul_(spread)
        return values


def _small(storage: Storage) -> Tensor:
    """The places in as few bytes as they need."""
    places = storage.places()
    return places.int() if math.prod(storage.weight_shape()) < 1 << 31 else places


def _refuse_odd(name: str, gradient: Tensor) -> None:
    # A sum is the fastest look; that it overflows does not say that a gradient does.
    if gradient.sum().isfinite():
        return
    odd = int((~gradient.isfinite()).sum())
    if odd:
        raise ScoreError(
            f"{name}: {odd} of {gradient.numel()} gradients are NaN or infinite, so the step was "
            "not taken and nothing is changed. Training has diverged (lower the learning rate, or "
            "clip gradients), or the batch holds such numbers."
        )

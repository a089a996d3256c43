"""The Sparsifier of compressed weights: the living values alone, and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rarefy._types import Batches, Loss
from rarefy.errors import EvidenceError, InvariantError, TargetError
from rarefy.formats import pack_bits
from rarefy.selection import wants
from rarefy.targets import Target, stored_of
from rarefy.training import _checks, _state
from rarefy.training._collected import mean_gradients
from rarefy.training._commit import commit
from rarefy.training._compressed_driven import CompressedDriven
from rarefy.training._method import Plan, title
from rarefy.training._moving import Moving
from rarefy.training._slot_exchange import Exchanged
from rarefy.training._slot_prune import removes, surviving
from rarefy.training._sparsifier import Sparsifier, averaged


class CompressedSparsifier(CompressedDriven):
    """Drives layers that hold only what lives; made by :func:`rarefy.sparsify`.

    Values, gradient and optimizer state are one number a living weight. When the plan says so the
    topology changes in place: what lives on keeps its value and its state, to the bit.
    """

    storage = "compressed"
    """How the weights are stored: the living values alone, and where they stand."""

    def __init__(
        self,
        model: nn.Module,
        targets: Mapping[str, Target],
        plan: Plan,
        *,
        fully_sparse: bool = False,
    ) -> None:
        self.fully_sparse = fully_sparse
        """Whether a dense gradient, average or master was refused beforehand."""
        self._awaited: dict[str, tuple[Tensor, int]] = {}
        super().__init__(model, targets, plan)

    def __repr__(self) -> str:
        if self._model() is None:
            return f"Sparsifier({self.method}, its model is gone, step {self.step}, {self.storage})"
        size = self._size()
        return (
            f"Sparsifier({self.method}, {self._count():,} of {size:,} weights kept in "
            f"{len(self.targets)} tensors, step {self.step}, {self.storage})"
        )

    def aliases(self) -> dict[str, tuple[str, ...]]:
        """Every name of each weight; more than one where its layer stands in several places."""
        return {name: target.aliases for name, target in self.targets.items()}

    def compress(self, slack: float = 0.0, *, fully_sparse: bool = False) -> CompressedSparsifier:
        """Nothing is left to compress: itself."""
        del slack, fully_sparse
        return self

    def go_on_from(self, masked: Sparsifier) -> None:
        """Take over step, history and all else that a masked Sparsifier knows of the run."""
        self.step, self.spreads = masked.step, masked.spreads
        self.history.restore(list(masked.history))
        self._changed_at = masked._changed_at
        if masked._unverified:
            # Only its state was loaded by now; the model's, compressed, is still to come.
            kept = self.masks
            self._awaited = {n: (pack_bits(kept[n]), m) for n, m in masked._unverified.items()}

    # -- changing the topology by hand

    @torch.no_grad()
    def prune(
        self, sparsity: float, *, data: Batches | None = None, loss: Loss | None = None
    ) -> None:
        """Remove more, in place: fewer slots are used, and those left over are in reserve.

        Args:
            sparsity: In [0, 1), not below the present one; the share of all weights removed
                afterwards.
            data: Batches, where the method's score needs gradients.
            loss: As for :func:`rarefy.sparsify`.

        Raises:
            BudgetError: No sparsity, one that would have to bring weights back, or a pattern that
                fixes it.
            EvidenceError: The score needs gradients, and there is no data.
        """
        self._verify_loaded()
        _checks.driver(self.model, self)
        self._refuse_growth(sparsity)
        gradients: Mapping[str, Tensor] = {}
        if data is not None:
            with self._unwatched():
                gradients = mean_gradients(self.model, self.weights(), data, loss)
        elif "gradient" in wants(self.plan.method.score):
            raise EvidenceError(
                f"the score {title(self.plan.method.score)} needs gradients: pass data= to prune()."
            )
        slots = {n: self._slots(n, s, gradients.get(n)) for n, s in self.storages().items()}
        sides = {name: target.sides for name, target in self.targets.items()}
        self._move(surviving(self.plan, slots, sides, sparsity, self.step))

    def _removes(self, sparsity: float) -> bool | None:
        shapes = {name: target.matrix_shape for name, target in self.targets.items()}
        counts = {name: storage.count() for name, storage in self.storages().items()}
        return removes(self.plan, shapes, counts, sparsity)

    @torch.no_grad()
    def apply_(self, model: nn.Module) -> None:
        """Let another copy, such as an average of the weights, live where the model lives now.

        Values of what lives in both stay, what is new starts at zero. Call it after each exchange
        on a copy that averages the values slot by slot, and before it averages again.
        """
        plain = averaged(model)
        for name, storage in self.storages().items():
            other = stored_of(plain, name)
            if other is None:
                raise TargetError(
                    f"{type(plain).__name__} has no compressed weight {name!r}: it is no copy of "
                    "the model as it is now. Copy the model after rarefy.sparsify."
                )
            moving = Moving(other, Exchanged(storage.places()))
            interrupted = commit(moving.moves([], None))
            if interrupted is not None:
                raise interrupted

    # -- state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state. First ``rarefy.sparsify`` as before, then load everything.

        The model's own ``state_dict`` brings the topology, the optimizer's the state of its slots;
        the three can be loaded in any order. The next step checks that they belong together.

        Raises:
            StateError: The state is of another method, schedule or model; nothing is changed.
        """
        super().load_state_dict(state)
        self._record()

    def _take(self, unpacked: _state.Unpacked) -> None:
        self._awaited = {
            name: (pack_bits(mask), unpacked.nonzero[name]) for name, mask in unpacked.masks.items()
        }

    def _verify_loaded(self) -> None:
        storages = self.storages() if self._awaited else {}
        for name, (bits, nonzero) in self._awaited.items():
            storage = storages[name]
            found = int((storage.weight_values.detach() != 0).sum())
            if found != nonzero or not torch.equal(pack_bits(storage.mask()), bits):
                raise InvariantError(
                    f"{name} has {storage.count()} living weights, {found} of them not zero, and "
                    f"they are not the ones of the loaded Sparsifier, {nonzero} of them not zero: "
                    "model and Sparsifier were saved at different times, or the model was not "
                    "loaded. Load the model, the optimizer and the Sparsifier of one checkpoint, "
                    "after rarefy.sparsify."
                )
        self._awaited = {}

"""The one owner of masks: it holds the zeros, changes them on schedule, and saves their state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rarefy._types import Batches, Loss
from rarefy.communication import check_agreement
from rarefy.errors import AttachError, BudgetError
from rarefy.masks import MaskSet
from rarefy.targets import Target, names_of, unwrap, weight_of
from rarefy.training import _changes, _checks, _state
from rarefy.training._collected import mean_gradients
from rarefy.training._dense_state import dense_state
from rarefy.training._driven import Driven
from rarefy.training._history import as_numbers
from rarefy.training._hooks import Hooks
from rarefy.training._method import Plan
from rarefy.training._optimizers import Optimizers, counting, opened
from rarefy.training._refusals import Compressing
from rarefy.training._registry import enter, leave


class Sparsifier(Driven):
    """Holds a model's masks beside it; the model stays an ordinary model.

    Made by :func:`rarefy.sparsify` and :func:`rarefy.hold`. With an optimizer attached, removed
    weights and their optimizer state are exactly zero after every step, and masks change when the
    plan says so. Nothing else touches the model.
    """

    storage = "masked"
    """How the weights are stored: dense, with zeros. Nothing is smaller or faster yet."""
    compressing: Compressing | None = None
    """What makes compressed layers, for :meth:`compress`."""

    def __init__(
        self, model: nn.Module, targets: Mapping[str, Target], masks: MaskSet, plan: Plan
    ) -> None:
        super().__init__(model, targets, masks, plan)
        check_agreement(self.masks, step=0)
        self.hold()
        enter(self.model, self)
        self.history.note(0, sparsity=self.sparsity)

    # -- what it knows

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.plan.method.name

    @property
    def attached(self) -> bool:
        """Whether an optimizer drives it."""
        return self._hooks is not None

    @property
    def optimizers(self) -> tuple[Optimizer, ...]:
        """Those that it is attached to."""
        return tuple(self._hooks.optimizers) if self._hooks else ()

    @property
    def words(self) -> dict[str, str]:
        """The method's five words: score, pattern, allocation, when, growth."""
        trigger = {"when": str(self.plan.trigger)} if self.plan.trigger else {}
        return {**self.plan.method.words, **trigger}

    def __repr__(self) -> str:
        return (
            f"Sparsifier({self.method}, {self.masks.kept:,} of {self.masks.size:,} weights kept "
            f"in {len(self.masks)} tensors, step {self.step}, {self.storage})"
        )

    def __reduce__(self) -> NoReturn:
        raise AttachError(
            "a Sparsifier belongs to one model and cannot be copied or pickled. Copy the model, "
            "which is plain, and keep sparsifier.state_dict()."
        )

    def aliases(self) -> dict[str, tuple[str, ...]]:
        """Every name of each weight; more than one where it is tied."""
        every = names_of(self.model)
        return {name: every[id(weight)] for name, weight in self.weights().items()}

    # -- attaching

    def attach(self, optimizer: Optimizers) -> None:
        """Hold the zeros through this optimizer's steps, and follow the plan.

        Args:
            optimizer: One, or several; a wrapper is opened through its ``.optimizer``. Steps are
                counted on the first that holds a sparse weight. Earlier ones are let go.

        Raises:
            AttachError: No optimizer, one that does not hold the weights, or one that is attached
                already.
        """
        optimizers = opened(optimizer)
        if self._hooks and all(self._hooks.on(each) for each in optimizers):
            raise AttachError("this optimizer is attached already: one attach() is enough.")
        counted = counting(optimizers, self.weights())
        _checks.driver(self.model, self)
        if self._hooks:
            self._hooks.remove()
        enter(self.model, self)
        self._hooks = Hooks(self, optimizers, counted)
        self._own_count, self._fresh = None, {}
        self.hold()

    def detach(self) -> None:
        """Take the hooks off. Zeros stay where they are, but nothing holds them any more."""
        if self._hooks:
            self._hooks.remove()
        self._hooks = None
        leave(self.model, self)

    def finalize(self) -> None:
        """Check once more, then detach: a plain model is left, in place, with its zeros.

        Raises:
            InvariantError: A removed weight is not zero, or the ramp has not come to its end, so
                the sparsity that was asked for is not there; nothing is detached then.
        """
        self.check()
        _checks.landed(self.plan, self.step, self.sparsity)
        self.detach()

    def check(self) -> None:
        """See that zeros hold, hooks sit, and steps agree with the optimizer's.

        Raises:
            InvariantError: A removed weight or its state is not zero; the layer is named.
            AttachError: The optimizer lost its hooks (it was copied or unpickled), or has taken
                steps that were not counted: ``attach(optimizer)`` again.
        """
        self._verify_loaded()
        _checks.driver(self.model, self)
        weights = self.weights()
        if self._hooks:  # first: a lost hook explains the rest
            _checks.hooks(self._hooks, weights)
            _checks.written(weights, self._versions, self._fresh)
            _checks.steps(self._hooks, weights, self._own_count)
        self._check_zeros(weights)

    def _check_zeros(self, weights: Mapping[str, nn.Parameter]) -> None:
        _checks.zeros(weights, self.masks)
        if self._hooks:
            _checks.states(self._hooks, weights, self.masks)

    # -- changing masks by hand

    @torch.no_grad()
    def prune(
        self, sparsity: float, *, data: Batches | None = None, loss: Loss | None = None
    ) -> None:
        """Remove more: ``sparsity`` is absolute, the share of all weights removed afterwards.

        Args:
            sparsity: In [0, 1), not below the present one.
            data: Batches, where the method's score needs gradients.
            loss: As for :func:`rarefy.sparsify`.

        Raises:
            BudgetError: No sparsity, one that would have to bring weights back, or a pattern that
                fixes it.
        """
        self._verify_loaded()
        _checks.driver(self.model, self)
        self._refuse_growth(sparsity)
        masks, evidence = self._mask_matrices(), self._evidence()
        if data is not None:
            with self._unwatched():
                found = mean_gradients(self.model, self.weights(), data, loss)
            evidence["gradient"] = self._matrices(found)
        self._adopt(_changes.pruned(self.plan, self.targets, evidence, masks, sparsity, self.step))

    def _refuse_growth(self, sparsity: float) -> None:
        if isinstance(sparsity, bool) or not isinstance(sparsity, int | float):
            raise BudgetError(f"prune() takes a sparsity in [0, 1); found {sparsity!r}.")
        pattern = self.plan.method.pattern
        if pattern.density is not None:
            raise BudgetError(
                f"{pattern} fixes the sparsity at {1 - pattern.density:g}, so prune({sparsity:g}) "
                "has nothing to choose. Start from another pattern."
            )
        if self._removes(sparsity) is None:
            raise BudgetError(
                f"prune({sparsity:g}) is absolute, and {self.sparsity:.4f} is removed already. "
                "Pruning only removes: ask for more, or start again from the dense weights."
            )

    def _removes(self, sparsity: float) -> bool | None:
        return _changes.removes(self.plan, self._mask_matrices(), sparsity)

    def apply_(self, model: nn.Module) -> None:
        """Zero the removed weights of another copy, such as an average of the weights, in place."""
        plain = averaged(model)
        self.masks.apply_({name: weight_of(plain, name).data for name in self.masks})

    def log(self, **numbers: float | Tensor) -> None:
        """Add numbers, such as ``loss=``, to the history at this step."""
        self.history.note(self.step, **as_numbers(numbers))

    # -- storage and state

    def compress(self, slack: float = 0.0, *, fully_sparse: bool = False) -> Sparsifier:
        """Hold only what lives from now on: values, gradients and optimizer state, layer by layer.

        The layers are swapped in the model and their parameters in the attached optimizers, in
        place; groups, hyper-parameters and the state of what lives stay. Methods that start dense
        come here once they have reached their sparsity.

        Args:
            slack: Slots in reserve, as a share of those that live.
            fully_sparse: Refuse a method that needs a dense gradient average or master.

        Returns:
            The Sparsifier that drives the model from now on; this one is detached.

        Raises:
            AttachError: The model is wrapped in DistributedDataParallel, or an optimizer cannot go
                on with the living weights alone.
            TargetError: A weight cannot be compressed; it is named, and nothing is changed.
            ScheduleError: The ramp has not come to its end.
        """
        from rarefy.training._compress import compressed  # it needs this class

        return compressed(self, slack, fully_sparse=fully_sparse)

    def dense_state_dict(self) -> dict[str, Any]:
        """The model's ``state_dict()`` with ordinary keys: every weight dense under its name."""
        return dense_state(self.model)

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs: masks, step, seed, averages, history; plain data.

        Loads with ``torch.load(..., weights_only=True)``. With growth by momentum under
        DistributedDataParallel each rank keeps an average of its own: save it on every rank.
        """
        return _state.pack(self, self._averages.values if self._averages else {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state. First ``rarefy.sparsify`` as before, then load everything.

        Load the model's and the optimizer's own ``state_dict`` after ``rarefy.sparsify`` too: it
        zeroes weights, so one that was loaded before would have lost some. The next step checks it.

        Raises:
            StateError: The state is of another method, schedule or model; nothing is changed.
        """
        _checks.driver(self.model, self)
        unpacked = _state.unpack(self, state)
        self._take(unpacked)
        self.step = unpacked.step
        self.plan = unpacked.plan
        self.history.restore(unpacked.history)
        self.spreads = unpacked.spreads
        self._own_count = self._changed_at = None
        self._fresh = {}
        if self._averages:
            self._averages.values = unpacked.averages
            self._averages.forget()
        check_agreement(self.masks, step=self.step)

    def _take(self, unpacked: _state.Unpacked) -> None:
        """Masks from a state, and what the weights must be like at the next step."""
        self._masks = MaskSet(unpacked.masks)
        self._unverified = unpacked.nonzero


def averaged(model: nn.Module) -> nn.Module:
    """The plain model, and of an average of a model's weights the copy that it keeps."""
    plain = unwrap(model)
    # torch.optim.swa_utils.AveragedModel keeps its copy in .module
    inner = getattr(plain, "module", None)
    if isinstance(inner, nn.Module) and hasattr(plain, "n_averaged"):
        return unwrap(inner)
    return plain

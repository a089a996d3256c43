"""What the hooks call: zeros held after each step, masks changed when the plan says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from weakref import ref

import torch
from torch import Tensor, nn

from rarefy.communication import check_agreement, mean_over_ranks_
from rarefy.errors import AttachError, EvidenceError
from rarefy.masks import MaskSet
from rarefy.selection import generator_for, wants
from rarefy.targets import Target, unwrap, weight_of
from rarefy.training import _changes, _checks
from rarefy.training._averages import Averages
from rarefy.training._history import History
from rarefy.training._hooks import Hooks
from rarefy.training._method import Plan, title
from rarefy.training._optimizers import OwnCount, own_count, state_like


class Driven:
    """A model, its masks and the plan they follow."""

    def __init__(
        self, model: nn.Module, targets: Mapping[str, Target], masks: MaskSet, plan: Plan
    ) -> None:
        self._model = ref(unwrap(model))
        self.targets = dict(targets)
        self.plan = plan
        self._masks = masks
        self.step = 0
        self.history = History()
        self._hooks: Hooks | None = None
        beta = getattr(plan.method.growth, "beta", 0.9)
        self._averages = Averages(beta) if plan.needs_average else None
        self._unverified: dict[str, int] = {}
        self._changed_at: int | None = None
        self._own_count: OwnCount | None = None
        self._versions: dict[str, int] = {}
        self._fresh: dict[str, int] = {}
        self.spreads = self._measured_spreads()

    def _measured_spreads(self) -> dict[str, float]:
        """What newcomers are drawn with: the weights before any was removed, over all ranks."""
        growth = self.plan.method.growth
        if growth.start != "normal" or growth.spread is not None:
            return {}
        found = [w.detach().double().std(correction=0).cpu() for w in self.weights().values()]
        spreads = torch.stack(found)
        mean_over_ranks_(spreads)
        return dict(zip(self.masks, spreads.tolist(), strict=True))

    @property
    def model(self) -> nn.Module:
        """The plain model.

        Raises:
            AttachError: The model is gone: nobody else held it.
        """
        model = self._model()
        if model is None:
            raise AttachError("the model of this Sparsifier is gone: keep a reference to it.")
        return model

    @property
    def masks(self) -> MaskSet:
        """Which weights are kept: bool by parameter name, read-only."""
        return self._masks

    @property
    def sparsity(self) -> float:
        """Share of the weights that is removed now."""
        return self.masks.sparsity

    def weights(self) -> dict[str, nn.Parameter]:
        """The sparse weights by name, looked up now."""
        model = self.model
        return {name: weight_of(model, name) for name in self.masks}

    @property
    def dense_wanted(self) -> bool:
        """Whether the next step's gradients feed growth and stay dense until then."""
        due = self.plan.replaces_step and self.plan.due(self.step)
        return due and self._changed_at != self.step

    def arrived(self, name: str, gradient: Tensor, held: Tensor | None) -> Tensor | None:
        """A gradient arrived for the weight called ``name``, whose ``.grad`` is ``held``.

        Returns:
            The gradient with what is removed zeroed; None where it stays as it is.
        """
        if held is None:
            self._fresh[name] = self._fresh.get(name, 0) + 1
        if self._averages:
            self._averages.collect(name, gradient, held)
        if self.dense_wanted:
            return None
        if gradient.requires_grad:  # create_graph=True: what is masked stays differentiable
            return gradient.masked_fill(self.masks.removed(name, gradient.device), 0)
        cleared = gradient.clone()
        self.masks.clear_(name, cleared)
        return cleared

    def clear_gradients(self) -> None:
        """Zero what is removed in the gradients that wait for the step."""
        for name, weight in self.weights().items():
            if weight.grad is not None and weight.grad.layout == torch.strided:
                self.masks.clear_(name, weight.grad.detach())

    @torch.no_grad()
    def before(self, scale: float) -> bool:
        """A step is about to happen; True where an exchange takes its place."""
        self._verify_loaded()
        # Once a step, also where several optimizers take theirs before it is counted.
        if (
            self.plan.needs_gradient
            and self.plan.due(self.step)
            and self._changed_at != self.step
            and self._change(self._gradients(scale))
        ):
            self._changed_at = self.step
        self._note_gradient_norm(scale)
        return self.plan.replaces_step and self._changed_at == self.step

    @torch.no_grad()
    def hold(self) -> None:
        """Zero what is removed, in the weights and in every state tensor of their shape."""
        weights = self.weights()
        for name, weight in weights.items():
            self.masks.clear_(name, weight)
        for optimizer in self._hooks.optimizers if self._hooks else ():
            for name, weight in weights.items():
                for _, value in state_like(optimizer, weight):
                    self.masks.clear_(name, value)
        self._versions = {name: weight._version for name, weight in weights.items()}

    @torch.no_grad()
    def after(self, scale: float) -> None:
        """The counted step has happened."""
        self.step += 1
        self._fresh = {}
        if self._hooks:
            self._own_count = own_count(self._hooks.counted, self.weights())
        if self._averages:
            self._averages.fold(scale)
        if self.plan.due(self.step) and not self.plan.needs_gradient:
            self._change({})

    def _change(self, extra: Mapping[str, Mapping[str, Tensor]]) -> bool:
        """Prune along the ramp and exchange, whatever the plan says; True if anything changed."""
        evidence = {**self._evidence(), **extra}
        masks = before = self._mask_matrices()
        if self.plan.ramp is not None:
            sparsity = self.plan.ramp(self.step)
            # Below what prune() has removed already there is nothing to do.
            if _changes.removes(self.plan, masks, sparsity):
                self._refuse_unknown(evidence)
                masks = _changes.pruned(
                    self.plan, self.targets, evidence, masks, sparsity, self.step
                )
        if self.plan.method.growth.arrivals is not None:
            if self._averages:
                self._averages.agree(self.weights())
                evidence["momentum"] = self._matrices(self._averages.values)
            evidence["living"] = masks
            moving = {name: masks[name] for name in self._moving(evidence)}
            masks = {**masks, **_changes.exchanged(self.plan, evidence, moving, self.step)}
        if all(masks[name] is before[name] for name in masks):
            return False
        self._adopt(masks)
        return True

    def _adopt(self, matrices: Mapping[str, Tensor]) -> None:
        """Make these the masks: agreed by all ranks first, then zeros and newcomers written."""
        old = self.masks
        new = MaskSet({name: self.targets[name].restore(mask) for name, mask in matrices.items()})
        check_agreement(new, step=self.step)
        arrivals = {name: new[name] & ~old[name] for name in new}
        self._masks = new
        self.hold()
        self._start(arrivals)
        born = sum(int(each.sum()) for each in arrivals.values())
        churn = born / max(new.kept, 1)
        self.history.note(self.step, sparsity=new.sparsity, churn=churn)

    def _start(self, arrivals: Mapping[str, Tensor]) -> None:
        growth = self.plan.method.growth
        if growth.start == "zero":
            return
        for name, weight in self.weights().items():
            generator = generator_for(self.plan.seed, self.step, name, "start")
            spread = self.spreads[name] if growth.spread is None else growth.spread
            drawn = torch.randn(weight.shape, generator=generator).mul_(spread)
            weight.copy_(torch.where(arrivals[name], drawn.to(weight), weight))
            self._versions[name] = weight._version

    def _moving(self, evidence: Mapping[str, Mapping[str, Tensor]]) -> list[str]:
        """Weights that take part in an exchange: trained, and with something known of them."""
        known = [evidence[kind] for kind in wants(self.plan.method.score)]
        grows = [evidence[kind] for kind in self.plan.method.growth.evidence]
        return [
            name
            for name, weight in self.weights().items()
            if weight.requires_grad
            and all(name in each for each in known)
            # Where nothing stands out, growth would only shuffle.
            and all(name in each and each[name].any() for each in grows)
        ]

    def _refuse_unknown(self, evidence: Mapping[str, Mapping[str, Tensor]]) -> None:
        """What was not measured must not be pruned as if it did not matter."""
        kinds = wants(self.plan.method.score)
        for name in self.masks:
            if not all(name in evidence[kind] for kind in kinds):
                raise EvidenceError(
                    f"{name} got no gradient in step {self.step} (it is frozen, or took no part), "
                    f"and the score {title(self.plan.method.score)} needs one to prune it. Leave "
                    f"it out with skip=[{name!r}], or choose a score that needs none. Masks are "
                    "unchanged."
                )

    def _mask_matrices(self) -> dict[str, Tensor]:
        return self._matrices(
            {n: self.masks[n].to(weight.device) for n, weight in self.weights().items()}
        )

    def _evidence(self) -> dict[str, Mapping[str, Tensor]]:
        return {"weight": self._matrices({n: w.detach() for n, w in self.weights().items()})}

    def _gradients(self, scale: float) -> dict[str, Mapping[str, Tensor]]:
        found = {}
        for name, weight in self.weights().items():
            if weight.grad is not None:
                found[name] = weight.grad / scale if scale != 1 else weight.grad.detach()
        return {"gradient": self._matrices(found)}

    def _matrices(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.targets[name].matrix(tensor) for name, tensor in tensors.items()}

    def _note_gradient_norm(self, scale: float) -> None:
        if self.step % self.plan.record:
            return
        squares = [
            self._living(name, weight.grad).float().square().sum()
            for name, weight in self.weights().items()
            if weight.grad is not None and weight.grad.layout == torch.strided
        ]
        if squares:
            norm = float(sum(squares)) ** 0.5 / scale
            self.history.note(self.step, sparsity=self.sparsity, gradient_norm=norm)

    def _living(self, name: str, gradient: Tensor) -> Tensor:
        return gradient.masked_fill(self.masks.removed(name, gradient.device), 0)

    def _verify_loaded(self) -> None:
        if self._unverified:
            _checks.loaded(self.weights(), self.masks, self._unverified)
            self._unverified = {}

    @contextmanager
    def _unwatched(self) -> Iterator[None]:
        """Gradients that are measured are not those of a step."""
        if self._hooks:
            self._hooks.watching = False
        try:
            yield
        finally:
            if self._hooks:
                self._hooks.watching = True

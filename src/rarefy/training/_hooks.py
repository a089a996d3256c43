"""The hooks: on the optimizers' steps, and on the gradients as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import ref

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from rarefy.training import _checks
from rarefy.training._optimizers import parameters_of, scale_of, skips


class Owner(Protocol):
    """What the hooks need of a Sparsifier."""

    def weights(self) -> dict[str, nn.Parameter]:
        """The sparse weights by name, looked up now."""
        ...

    def arrived(self, name: str, gradient: Tensor, held: Tensor | None) -> Tensor | None:
        """A gradient arrived, to be added to the one that is held; what it is replaced by."""
        ...

    def clear_gradients(self) -> None:
        """Zero what is removed in the gradients that wait for the step."""
        ...

    def before(self, scale: float) -> bool:
        """A step is about to happen; True where an exchange takes its place."""
        ...

    def hold(self) -> None:
        """Zero what is removed, in weights and optimizer state."""
        ...

    def after(self, scale: float) -> None:
        """The counted step has happened."""
        ...


class Hooks:
    """Calls a Sparsifier at the right moments of an unchanged training loop.

    Before a step: an exchange, or dead gradients masked. After it: zeros restored, the step
    counted. A step that a GradScaler skips is neither masked nor counted. A closure is wrapped, so
    that what belongs before the step comes after its backward pass.

    The steps of several optimizers make a round: each takes one, on the same gradients. What comes
    before a step comes once a round, whichever optimizer is first.
    """

    def __init__(self, owner: Owner, optimizers: Sequence[Optimizer], counted: Optimizer) -> None:
        self.optimizers = list(optimizers)
        self.counted = counted
        self.watching = True
        self._owner = owner
        self._handles: list[RemovableHandle] = []
        self._watched: dict[str, tuple[ref[Tensor], RemovableHandle]] = {}
        self._hidden: dict[int, list[tuple[Tensor, Tensor]]] = {}
        self._round: dict[int, bool] = {}  # id of each optimizer in it, to whether it has stepped
        self._exchanged = False
        self._depth: dict[int, int] = {}
        self._in_closure = False
        # Disabled here and not by decorators: those would import the compiler with the library.
        self._pre = torch.compiler.disable(self._before)
        self._post = torch.compiler.disable(self._after)
        for optimizer in self.optimizers:
            self._handles += [
                optimizer.register_step_pre_hook(self._pre),
                optimizer.register_step_post_hook(self._post),
            ]
        self.watch()

    def remove(self) -> None:
        """Take every hook off."""
        for handle in self._handles:
            handle.remove()
        for _, handle in self._watched.values():
            handle.remove()
        self._handles, self._watched = [], {}

    def on(self, optimizer: Optimizer) -> bool:
        """Whether this optimizer still carries the hooks."""
        return any(hook is self._post for hook in optimizer._optimizer_step_post_hooks.values())

    def watch(self) -> None:
        """See that every sparse weight, as it is now, masks its gradients as they arrive.

        Raises:
            AttachError: A weight was replaced, and no attached optimizer trains the new one.
        """
        weights = self._owner.weights()
        replaced = False
        for name, weight in weights.items():
            known = self._watched.get(name)
            if known is not None:
                if known[0]() is weight:
                    continue
                known[1].remove()
                del self._watched[name]
                replaced = True
            if weight.requires_grad:
                handle = weight.register_hook(self._arrival(name, weight))
                self._watched[name] = (ref(weight), handle)
        if replaced:
            _checks.hooks(self, weights)

    def _arrival(self, name: str, weight: nn.Parameter) -> Callable[[Tensor], Tensor | None]:
        weak = ref(weight)

        def masked(gradient: Tensor) -> Tensor | None:
            if not self.watching or gradient.layout != torch.strided:
                return None
            if not self._in_closure:
                self._begin()
            held = weak()
            return self._owner.arrived(name, gradient, None if held is None else held.grad)

        return masked

    def _begin(self) -> None:
        """New gradients arrive: the round is over, and a step that was broken off is forgotten."""
        if any(self._round.values()):
            self._round = {}
        for optimizer in self.optimizers if self._depth else ():
            self._forget(optimizer)

    def _forget(self, optimizer: Optimizer) -> None:
        """A step never came to its end: leave nothing of it behind."""
        self._depth.pop(id(optimizer), None)
        self._round = {}
        self._show(optimizer)

    @contextmanager
    def _undone_by_errors(self, optimizer: Optimizer) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._forget(optimizer)
            raise

    def _before(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        key = id(optimizer)
        self._depth[key] = self._depth.get(key, 0) + 1
        if self._depth[key] > 1:  # a subclass whose step calls its parent's step, hooked as well
            return None
        if callable(kwargs.get("closure")):
            return args, {**kwargs, "closure": self._wrapped(optimizer, kwargs["closure"])}
        if len(args) > 1 and callable(args[1]):
            return (args[0], self._wrapped(optimizer, args[1]), *args[2:]), kwargs
        with self._undone_by_errors(optimizer):
            self._ready(optimizer)
        return None

    def _wrapped(self, optimizer: Optimizer, closure: Callable[[], Any]) -> Callable[[], Any]:
        def then_ready() -> Any:  # noqa: ANN401 - whatever the user's closure gives
            self._in_closure = True
            with self._undone_by_errors(optimizer):
                try:
                    result = closure()
                finally:
                    self._in_closure = False
                self._ready(optimizer)
            return result

        return then_ready

    @torch.no_grad()
    def _ready(self, optimizer: Optimizer) -> None:
        if skips(optimizer):
            return
        key = id(optimizer)
        if self._round.get(key):
            self._round = {}
        if not self._round:
            self._exchanged = self._owner.before(scale_of(optimizer))
        self._round.setdefault(key, False)
        if self._exchanged:
            # RigL's reference takes no optimizer step where it exchanges: no optimizer sees a
            # gradient in this round.
            self._hide(optimizer)
            return
        self._owner.clear_gradients()

    def _hide(self, optimizer: Optimizer) -> None:
        kept = self._hidden.setdefault(id(optimizer), [])
        for parameter in parameters_of(optimizer):
            if parameter.grad is not None:
                kept.append((parameter, parameter.grad))
                parameter.grad = None

    def _show(self, optimizer: Optimizer) -> None:
        for parameter, gradient in self._hidden.pop(id(optimizer), []):
            parameter.grad = gradient

    def _after(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        del args, kwargs
        key = id(optimizer)
        depth = self._depth.pop(key, 1) - 1
        if depth:
            self._depth[key] = depth
            return
        self._show(optimizer)
        self._owner.hold()
        if skips(optimizer):
            return
        self._round[key] = True
        if optimizer is self.counted:
            self._owner.after(scale_of(optimizer))
        self.watch()

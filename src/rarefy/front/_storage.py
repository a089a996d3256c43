"""How the weights of a sparse model are stored: the words for it, and what they cannot do."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from rarefy.errors import AttachError, BudgetError, TargetError, UnknownName
from rarefy.growth import Growth
from rarefy.targets import Target, stored_of, weight_of
from rarefy.training import (
    Plan,
    refuse_dense_start,
    refuse_layers,
    refuse_method,
    refuse_optimizers,
)

WORDS = ("compressed", "masked")


@dataclass(frozen=True, slots=True)
class Twins:
    """Makes the compressed layers of one model."""

    wrapper: str | None
    """What holds on to the model's parameters; None where nothing does."""

    def supports(self, module: nn.Module) -> str | None:
        """Why a module has no compressed twin; None where it has one."""
        from rarefy import layers  # loaded with the first one, to keep the import fast

        return layers.supports(module)

    def compressed(self, module: nn.Module, mask: Tensor, slack: float) -> nn.Module:
        """The compressed twin of a dense module, which stays as it is."""
        from rarefy import layers

        return layers.compressed(module, mask, slack)


def twins_for(model: nn.Module) -> Twins:
    """What makes the compressed layers of ``model``, wrapped or plain."""
    holders = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    found = (type(each).__name__ for each in model.modules() if isinstance(each, holders))
    return Twins(next(found, None))


def check_words(storage: object, slack: object, *, fully_sparse: object) -> None:
    """Refuse words for the storage that mean nothing, or nothing together.

    Raises:
        UnknownName: No such storage.
        BudgetError: The slack is no share of 0 or more.
        AttachError: Something is asked of compressed storage, and the storage is masked.
    """
    if storage not in WORDS:
        raise UnknownName(f"storage={storage!r} is none: write 'masked' or 'compressed'.")
    if (
        isinstance(slack, bool)
        or not isinstance(slack, int | float)
        or not 0 <= slack < float("inf")
    ):
        raise BudgetError(
            "slack is the share of slots in reserve, 0 or more, such as 0.1; "
            f"found slack={slack!r}."
        )
    if storage == "masked" and (slack or fully_sparse):
        word = "fully_sparse=True" if fully_sparse else f"slack={slack}"
        raise AttachError(
            f"{word} is a promise of compressed storage, and masked weights are dense: give "
            "storage='compressed' beside it."
        )


def refuse_unfit(
    model: nn.Module,
    targets: dict[str, Target],
    plan: Plan,
    twins: Twins,
    optimizer: Any,  # noqa: ANN401 - an optimizer, several, a wrapper of one, or none
) -> None:
    """Refuse what compressed storage cannot hold or do, before anything is changed.

    Raises:
        RarefyError: As :meth:`rarefy.training.Sparsifier.compress`.
    """
    refuse_method(plan.method, {name: target.matrix_shape for name, target in targets.items()})
    starts_dense = plan.ramp is not None or plan.method.start == "dense"
    refuse_dense_start(plan.method.name, starts_dense=starts_dense)
    refuse_layers(model, targets, twins)
    if optimizer is not None:
        refuse_optimizers(optimizer, {name: weight_of(model, name) for name in targets})


def refuse_stored(model: nn.Module, targets: dict[str, Target]) -> None:
    """A compressed weight is sparse already, and no dense one is there to start from.

    Raises:
        TargetError: A weight is compressed.
    """
    for name in targets:
        if stored_of(model, name) is not None:
            raise TargetError(
                f"{name} is compressed already. Its Sparsifier's prune() removes more; "
                "rarefy.hold(model, optimizer=optimizer) trains on with what lives."
            )


def refuse_growth(targets: dict[str, Target], growth: Growth) -> None:
    """Refuse a growth rule that does not fit a weight.

    Raises:
        PatternError: The weight is named.
    """
    for name, target in targets.items():
        growth.refuse(name, target.matrix_shape)

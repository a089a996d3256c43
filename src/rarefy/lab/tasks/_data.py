"""A labelled data set, whole in memory."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Samples to learn from and samples to be judged by; the split is fixed."""

    inputs: Tensor
    """Float32, samples x features, scaled to about mean 0 and deviation 1."""
    targets: Tensor
    """Int64, the class of each sample."""
    test_inputs: Tensor
    """As ``inputs``; never trained on."""
    test_targets: Tensor
    """As ``targets``."""
    classes: int
    """How many classes there are."""

    def __repr__(self) -> str:
        return (
            f"Data({len(self.targets):,} samples and {len(self.test_targets):,} test samples of "
            f"{self.inputs.shape[1]} numbers, {self.classes} classes)"
        )

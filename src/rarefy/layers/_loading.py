"""Whether the saved state of a compressed layer can be believed, before any of it is copied."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from rarefy.errors import StateError
from rarefy.kernels import Topology


def check_loaded(
    state: Mapping[str, Any], prefix: str, matrix: tuple[int, int], capacity: int
) -> Tensor | None:
    """The topology that a state brings for the layer at ``prefix``; None where it brings nothing.

    Args:
        state: What load_state_dict() was given.
        prefix: The layer's name and a dot.
        matrix: Rows and columns of the layer's weight.
        capacity: Its slots.

    Raises:
        StateError: The topology is damaged, or is one of another layer; or values come without it.
    """
    values, topology = (state.get(prefix + name) for name in ("weight_values", "weight_topology"))
    if values is None and topology is None:
        _refuse_dense(state, prefix)
        return None
    if values is None or topology is None:
        here, gone = ("values", "topology") if topology is None else ("topology", "values")
        raise StateError(
            f"the state has '{prefix}weight_{here}' without '{prefix}weight_{gone}'; neither means "
            "anything alone. Load a state that has both."
        )
    try:
        found = Topology.read(topology)
    except StateError as damage:
        raise StateError(f"'{prefix}weight_topology' was not loaded: {damage}") from damage
    if (found.rows, found.columns) != matrix:
        raise StateError(
            f"'{prefix}weight_topology' is of a {found.rows} x {found.columns} matrix, the layer's "
            f"is {matrix[0]} x {matrix[1]}: load it into a model of the same shapes."
        )
    if found.capacity != capacity or values.shape != (capacity,):
        raise StateError(
            f"'{prefix}weight_values' has shape {tuple(values.shape)} for {found.capacity} slots, "
            f"and the layer has {capacity}. A layer's slots are fixed: make it with the same "
            "sparsity and slack as the saved one, then load."
        )
    if bool(values[found.count :].any()):
        raise StateError(
            f"'{prefix}weight_values' holds numbers in padding, from slot {found.count} on: the "
            "state is damaged, or its two tensors are of different times. Load another."
        )
    return found.buffer


def _refuse_dense(state: Mapping[str, Any], prefix: str) -> None:
    if prefix + "weight" in state:
        raise StateError(
            f"'{prefix}weight' is a dense weight, and the layer is compressed. Load it before "
            'rarefy.sparsify(..., storage="compressed"), or make the values from it with '
            "layer.topology.gather(weight)."
        )

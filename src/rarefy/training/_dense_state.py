"""A model's state with ordinary keys, whatever its weights are stored as."""

from typing import Any

from torch import nn

from rarefy.targets import plain_name, stored, unwrap


def dense_state(model: nn.Module) -> dict[str, Any]:
    """``model.state_dict()`` with each compressed weight dense under its ordinary name.

    Loads into the model as it was before it was compressed. Each dense weight is made anew; what
    is not compressed is the model's own tensor, as always.
    """
    layers = stored(model)
    names = {f"{name}_values": name for name in layers}
    state: dict[str, Any] = {}
    for key, value in unwrap(model).state_dict().items():
        plain = plain_name(key)
        if plain in names:
            state[names[plain]] = layers[names[plain]].dense_weight()
        elif plain.removesuffix("_topology") not in layers:
            state[plain] = value
    return state

"""What to sparsify: the weights of a model, by name, each with its matrix view."""

from rarefy.targets._find import find
from rarefy.targets._model import names_of, plain_name, unwrap, weight_of
from rarefy.targets._stored import stored, stored_of
from rarefy.targets._view import Target

__all__ = [
    "Target",
    "find",
    "names_of",
    "plain_name",
    "stored",
    "stored_of",
    "unwrap",
    "weight_of",
]

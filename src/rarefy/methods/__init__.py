"""Named methods: each one wires parts of the floors below into a value, and adds no arithmetic."""

from rarefy.methods._gmp import gmp
from rarefy.methods._one_shot import one_shot
from rarefy.methods._rigl import rigl
from rarefy.methods._set import set_
from rarefy.methods._snfs import snfs
from rarefy.methods._static import static

__all__ = [
    "gmp",
    "one_shot",
    "rigl",
    "set_",
    "snfs",
    "static",
]

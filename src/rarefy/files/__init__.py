"""Models as safetensors files: small where they are sparse, whole or refused."""

from rarefy.files._atomic import replacing
from rarefy.files._dense import to_dense
from rarefy.files._header import Record
from rarefy.files._load import load
from rarefy.files._prune import Pruned, prune_file
from rarefy.files._read import Contents, read, read_masks
from rarefy.files._save import save

__all__ = [
    "Contents",
    "Pruned",
    "Record",
    "load",
    "prune_file",
    "read",
    "read_masks",
    "replacing",
    "save",
    "to_dense",
]

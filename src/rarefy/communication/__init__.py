"""What ranks say to each other: one seed, one mean, one mask."""

from rarefy.communication._agree import check_agreement, mean_over_ranks_, same_seed, world_size

__all__ = [
    "check_agreement",
    "mean_over_ranks_",
    "same_seed",
    "world_size",
]

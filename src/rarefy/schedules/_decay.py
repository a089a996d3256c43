"""Shares that fall while training goes on."""

import math


def decayed(share: float, step: int, until: int, *, final: float = 0.0) -> float:
    """From ``share`` at step 0 to ``final`` at ``until`` along half a cosine.

    Dettmers and Zettlemoyer, "Sparse Networks from Scratch", 2019; Evci et al., "Rigging the
    Lottery", 2020, section 3.

    >>> [round(decayed(0.3, step, 100), 5) for step in (0, 25, 50, 75, 100)]
    [0.3, 0.25607, 0.15, 0.04393, 0.0]
    """
    progress = min(max(step / until, 0.0), 1.0) if until else 1.0
    return final + (share - final) * (1 + math.cos(math.pi * progress)) / 2

"""When: how sparse at which step, and at which steps to choose anew."""

from rarefy.schedules._decay import decayed
from rarefy.schedules._ramps import Constant, Cubic, Linear, Once, Ramp
from rarefy.schedules._triggers import Every, interval
from rarefy.schedules._words import parse

__all__ = [
    "Constant",
    "Cubic",
    "Every",
    "Linear",
    "Once",
    "Ramp",
    "decayed",
    "interval",
    "parse",
]

"""Resident size of this process, now and at its peak, as the system tells it."""

import re
import sys
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def resident() -> int | None:
    """Bytes of this process in memory now; None where the system does not tell."""
    return _status("VmRSS")


def peak_resident() -> int | None:
    """Most bytes that were in memory since the peak was reset, or since the process began."""
    found = _status("VmHWM")
    if found is not None:
        return found
    with suppress(ImportError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(most if sys.platform == "darwin" else most * 1024)
    return None


def reset_peak() -> bool:
    """Begin a new peak from here; False where the system keeps the one of the whole process."""
    with suppress(OSError):
        _CLEAR.write_text("5")
        return True
    return False


def _status(word: str) -> int | None:
    with suppress(OSError):
        found = re.search(rf"^{word}:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return None

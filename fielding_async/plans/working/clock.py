"""The clock that leases are measured by: it goes on while the process is stopped and while the machine sleeps."""

import time
from collections.abc import Callable

__all__ = ["Clock", "boot_clock"]

Clock = Callable[[], float]
"""Returns seconds since some moment of this machine. It never goes back."""


def boot_clock() -> Clock:
    """Return the clock: `CLOCK_BOOTTIME`; on macOS `CLOCK_MONOTONIC`, which counts sleep there; else `monotonic`."""
    gettime = getattr(time, "clock_gettime", None)
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        number = getattr(time, name, None)
        if gettime is not None and number is not None:
            return lambda: float(gettime(number))
    return time.monotonic

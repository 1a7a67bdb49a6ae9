"""A processor at half speed, for one process and without privileges.

After each millisecond of its CPU time the process spins for as long as it has worked since it last did so. So it does
half as much in a second of CPU time, in user and in system code, as on a processor of half the speed. What waits is not
slowed: timers fire when they are due. The kernel counts CPU time in ticks of 1 to 4 ms: work is interrupted that often.
"""

import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from attrs import define

__all__ = ["HalfSpeed", "half_speed"]

_SLICE = 0.001


@define
class HalfSpeed:
    """What slows a process. `spun`: seconds of CPU time that it has taken away."""

    spun: float = 0.0
    _settled: float = 0.0

    def begin(self) -> None:
        """Begin a slice of work."""
        self._settled = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, _SLICE)  # not at an interval: it counts what is spun, too

    def end_slice(self, number: int, frame: FrameType | None) -> None:
        """Spin for as long as the slice of work took. A handler of signals."""
        del number, frame
        began = time.process_time()
        until = began + began - self._settled
        while time.process_time() < until:
            pass
        self.spun += time.process_time() - began
        self.begin()


@contextmanager
def half_speed() -> Generator[HalfSpeed]:
    """Slow this process. Only in the main thread."""
    slowed = HalfSpeed()
    before = signal.signal(signal.SIGPROF, slowed.end_slice)
    slowed.begin()
    try:
        yield slowed
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)

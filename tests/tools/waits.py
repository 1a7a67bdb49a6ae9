"""What tests wait for is an event: a bound for waits that would never end, and a clock that is put forward at will."""

import asyncio

__all__ = ["HANG", "Clock"]

HANG = 600.0
"""Seconds after which a wait for an event fails: it ends tests that hang, and measures nothing."""


class Clock:
    """The clock of a running event loop, which goes as it always does, and can be put forward.

    Timers that fall due that way fire in the loop's next round: a test of a time limit waits for the moment at which
    the limit matters and puts the clock forward, however long it took to come there. Make it before a session is
    entered, which may keep the loop's clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ahead = 0.0
        time = loop.time
        setattr(loop, "time", lambda: time() + self._ahead)  # noqa: B010 - a method is no variable to type checkers

    def advance(self, seconds: float) -> None:
        """Put the clock forward. Call it on the loop's own thread."""
        self._ahead += seconds

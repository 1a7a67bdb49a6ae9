"""The pace of a session that has lost the others: its part of what they kept together. Pure functions of values."""

from attrs import evolve

from fielding_async.core.config import Limits

__all__ = ["fallback_limits", "fallback_rate"]

_LEAST = 1e-3  # requests a second


def fallback_rate(
    *, configured: float | None, interval: float | None, members: int, expected: int
) -> tuple[float | None, int]:
    """Return the rate of one session on its own, and by how many the shared one was divided.

    `configured`: `Limits.rate`. `interval`: seconds between requests of all, as last heard; `None`: never heard; 0:
    nothing spaced them. `members`: how many sessions there were then; 0 if that was never heard. The rate is the last
    shared pace, else the configured one, divided by the members, else by those that are expected; `None` if there is
    none.
    """
    parts = max(members or expected, 1)
    shared = 1.0 / interval if interval else configured
    return (None if shared is None else max(shared / parts, _LEAST)), parts


def fallback_limits(limits: Limits, rate: float | None) -> Limits:
    """Return the limits of a session on its own, at such a rate."""
    return limits if rate is None else evolve(limits, rate=rate, burst=1)

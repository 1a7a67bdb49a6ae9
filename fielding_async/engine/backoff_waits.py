"""Waiting times between attempts, from `backoff`. The source of random numbers is an argument."""

from collections.abc import Callable, Iterator

import backoff

from fielding_async.core.config import Retry

__all__ = ["Uniform", "conflict_waits", "full_jitter", "poll_waits", "retry_waits"]

Uniform = Callable[[float, float], float]
"""`random.uniform`, or a replacement with known results."""


def full_jitter(base: float, cap: float, uniform: Uniform) -> Iterator[float]:
    """Yield waits in seconds: anywhere from 0 to a ceiling that starts at `base` and doubles up to `cap`."""
    ceilings = backoff.expo(base=2, factor=base, max_value=cap)
    next(ceilings)  # backoff's generators are primed by a first send
    for ceiling in ceilings:
        yield uniform(0.0, ceiling)


def retry_waits(retry: Retry, uniform: Uniform) -> Iterator[float]:
    """Yield the waits between the attempts of one request."""
    return full_jitter(retry.base, retry.cap, uniform)


def conflict_waits(retry: Retry, uniform: Uniform) -> Iterator[float]:
    """Yield the waits between the rounds of a conflict: none before the first, then growing from `conflict_base`."""
    yield 0.0
    yield from full_jitter(retry.conflict_base, retry.cap, uniform)


def poll_waits(uniform: Uniform) -> Iterator[float]:
    """Yield the waits between polls of a job: growing from about half a second to about fifteen."""
    ceilings = backoff.expo(base=1.5, factor=0.5, max_value=15.0)
    next(ceilings)
    for ceiling in ceilings:
        yield uniform(ceiling / 2, ceiling)

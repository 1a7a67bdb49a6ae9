"""Waiting times between attempts, from `backoff`. The source of random numbers is an argument."""

from collections.abc import Callable, Iterator
from itertools import repeat

import backoff

from fielding_async.core.config import Retry
from fielding_async.core.conflict.round_waits import RoundWaits

__all__ = ["ActionWaits", "Uniform", "full_jitter", "poll_waits", "probe_waits", "retry_waits"]

Uniform = Callable[[float, float], float]
"""`random.uniform`, or a replacement with known results."""

_SHORTEST = 1e-9


def full_jitter(base: float, cap: float, uniform: Uniform) -> Iterator[float]:
    """Yield waits in seconds: anywhere from 0 to a ceiling that starts at `base` and doubles up to `cap`."""
    if base < _SHORTEST:  # 0 never gets to the cap: `backoff` would overflow after 1,024 waits
        yield from repeat(0.0)
    ceilings = backoff.expo(base=2, factor=base, max_value=cap)
    next(ceilings)  # backoff's generators are primed by a first send
    for ceiling in ceilings:
        yield uniform(0.0, ceiling)


def retry_waits(retry: Retry, uniform: Uniform) -> Iterator[float]:
    """Yield the waits between the attempts of one request."""
    return full_jitter(retry.base, retry.cap, uniform)


class ActionWaits:
    """The waits of one call of a run action.

    `rounds`: after conflicts. `stale`: between GETs that are repeated because they are out of date, growing from
    `conflict_base`. `backoffs`: before a write is sent again under the same ETag.
    """

    def __init__(self, retry: Retry, uniform: Uniform) -> None:
        self.rounds: RoundWaits = RoundWaits(retry.conflict_base, retry.cap, uniform)
        self.stale: Iterator[float] = full_jitter(retry.conflict_base, retry.cap, uniform)
        self.backoffs: Iterator[float] = retry_waits(retry, uniform)


def poll_waits(uniform: Uniform) -> Iterator[float]:
    """Yield the waits between polls of a job: growing from about half a second to about fifteen."""
    ceilings = backoff.expo(base=1.5, factor=0.5, max_value=15.0)
    next(ceilings)
    for ceiling in ceilings:
        yield uniform(ceiling / 2, ceiling)


def probe_waits(uniform: Uniform) -> Iterator[float]:
    """Yield the waits between probes of an exchange that is away: growing from about a second to about thirty."""
    ceilings = backoff.expo(base=2, factor=1.0, max_value=30.0)
    next(ceilings)
    for ceiling in ceilings:
        yield uniform(ceiling / 2, ceiling)

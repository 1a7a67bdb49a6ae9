"""Four kinds of server that refuse what comes too fast, and the oracle that knows their state. Time is an argument.

The counters are the sandbox's own: windows of one second; a token bucket that holds a second's worth; a leaky bucket
that holds one request, so that any two requests must be evenly spaced. Retry-After is in whole seconds, never less
than 1, and with `strict` a client that was refused is refused again until it has passed.
"""

from math import ceil, inf

from attrs import define, field, frozen

from fielding_async.sandbox.world.rate_limits import Limiter, LimiterKind, make_limiter

__all__ = ["KINDS", "Arrival", "Limit", "Phase", "Server", "ideal_seconds"]

KINDS: tuple[LimiterKind, ...] = ("fixed-window", "sliding-window", "token-bucket", "leaky-bucket")
_SLACK = 1e-9


@frozen
class Phase:
    """From `start` (seconds since the beginning) on, `per_second` requests may pass."""

    start: float
    per_second: float


@frozen
class Limit:
    """A kind of server and its rates, in order; without any, everything passes.

    `offset`: how far into its first window the beginning is, in seconds. A new phase starts counting anew. `burst`:
    what a bucket holds; by default a second's worth for a token bucket, 1 for a leaky one.
    """

    kind: LimiterKind
    phases: tuple[Phase, ...]
    offset: float = 0.0
    strict: bool = True
    burst: int | None = None

    @classmethod
    def of(
        cls,
        kind: LimiterKind,
        per_second: float,
        *,
        offset: float = 0.0,
        strict: bool = True,
        burst: int | None = None,
    ) -> "Limit":
        """Return the limit of one rate for good."""
        return cls(kind, (Phase(0.0, per_second),), offset, strict, burst)


@frozen
class Arrival:
    """One request as the server saw it: seconds since the beginning, whose it was, its Retry-After if refused."""

    at: float
    client: str
    retry_after: int | None


@define
class _Counters:
    """The counter of each phase in turn."""

    limit: Limit
    _phase: int = -1
    _counter: Limiter | None = None

    def hit(self, at: float) -> float | None:
        """Count a request that may pass: `None`; else return the seconds until one may."""
        phases = self.limit.phases
        while self._phase + 1 < len(phases) and at >= phases[self._phase + 1].start - _SLACK:
            self._phase += 1
            phase = phases[self._phase]
            start = phase.start - self.limit.offset
            self._counter = make_limiter(
                self.limit.kind, phase.per_second, burst=self.limit.burst, window=None, start=start
            )
        wait = None if self._counter is None else self._counter.hit(at)
        if wait is not None and self._phase + 1 < len(phases):
            return min(wait, phases[self._phase + 1].start - at)
        return wait


@define
class Server:
    """A server under a limit. Time, in seconds since the beginning, never goes back."""

    limit: Limit
    arrivals: list[Arrival] = field(factory=list[Arrival], init=False)
    _counters: _Counters = field(init=False)
    _closed_until: dict[str, float] = field(factory=dict[str, float], init=False)

    def __attrs_post_init__(self) -> None:
        self._counters = _Counters(self.limit)

    def hit(self, at: float, client: str = "") -> int | None:
        """Count a request of a client: `None` if it passes, else its Retry-After in seconds."""
        closed_until = self._closed_until.get(client, -inf)
        if self.limit.strict and at < closed_until - _SLACK:
            wait: float | None = closed_until - at
        else:
            wait = self._counters.hit(at)
        retry_after = None if wait is None else max(1, ceil(wait - _SLACK))
        if retry_after is not None and at >= closed_until - _SLACK:
            self._closed_until[client] = at + retry_after
        self.arrivals.append(Arrival(at, client, retry_after))
        return retry_after


def ideal_seconds(limit: Limit, requests: int, one_way: float) -> float:
    """Return how long an oracle needs: it knows the server's state, and each request arrives as soon as it passes.

    `one_way`: seconds that a request takes to the server, and its reply back.
    """
    counters = _Counters(limit)
    at = one_way
    for _ in range(requests):
        while (wait := counters.hit(at)) is not None:
            at += wait
    return at + one_way

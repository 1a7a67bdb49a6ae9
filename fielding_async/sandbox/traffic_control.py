"""What a sandbox does to all requests alike: latency, the rate limit, and the limit of requests in flight."""

from time import monotonic

from .fault_control import FaultControl
from .serving import checks
from .serving.replies import RETRY_AFTER_FORMS, RetryAfter
from .world.rate_limits import LimiterKind, make_limiter

__all__ = ["TrafficControl"]

_LONGEST = 86_400.0  # seconds of real time


class TrafficControl(FaultControl):
    """The part of a `Sandbox` that delays requests, and refuses those that are too many."""

    def rate_limit(
        self,
        per_second: float | None,
        *,
        kind: LimiterKind = "fixed-window",
        burst: int | None = None,
        retry_after: RetryAfter = "seconds",
        window: float | None = None,
    ) -> None:
        """Answer requests beyond `per_second` with 429; `None` removes the limit.

        A new limit starts counting from zero. All requests but those for tokens count, by real time. `kind`:

        - `"fixed-window"`: at most `per_second` times `window` requests (a whole number, rounded down) in each window.
        - `"sliding-window"`: so many in any span of that length.
        - `"token-bucket"`, `"leaky-bucket"`: requests of this rate, and bursts of `burst`.
        - `"request-count"`: after `per_second` times `window` requests, whatever time they took, all are refused for
          `window` seconds. Whether a request is refused does not depend on the speed of the machine.

        `window`: in seconds, above 0 and at most 86400, 1 if left out; not for buckets. `burst` is for the buckets: by
        default the requests of one second for `"token-bucket"`, 1 (even spacing) for `"leaky-bucket"`. `retry_after`:
        the form of the header: `"seconds"`, `"decimal"`, `"date"`, `"zero"`, `"absent"` (none), or a function from the
        seconds to wait to its text, or to `None`. Raises `ConfigurationError`.
        """
        _check_retry_after("rate_limit", retry_after)
        limiter = None
        if per_second is not None:
            limiter = make_limiter(kind, per_second, burst=burst, window=window, start=monotonic())
        elif burst is not None or window is not None:
            raise checks.wrong("rate_limit", "per_second", None, "given with burst or window")
        with self._pipeline.lock:
            self._pipeline.limiter, self._pipeline.retry_after = limiter, retry_after
            self._pipeline.traffic.limit = per_second

    def in_flight_limit(self, requests: int | None, *, retry_after: RetryAfter = "absent") -> None:
        """Answer requests with 429 while as many others are in progress; `None` removes the limit.

        `requests`: 1 or more. All requests but those for tokens count, from their arrival to their reply. `latency`,
        `Delay` and `Hold` keep them in progress. `retry_after`: as in `rate_limit`, for a wait of one second. Raises
        `ConfigurationError`.
        """
        _check_retry_after("in_flight_limit", retry_after)
        if requests is not None:
            checks.whole("in_flight_limit", "requests", requests, 1)
        with self._pipeline.lock:
            self._pipeline.in_flight_limit, self._pipeline.in_flight_retry_after = requests, retry_after

    def latency(self, seconds: float, *, jitter: float = 0.0) -> None:
        """Let every request wait `seconds` of real time before it is handled; 0 removes the wait.

        `jitter`: each waits up to so many seconds more or less, by chance. Both are 0 to 86400, and `jitter` is not
        more than `seconds`. Requests that are refused by a limit are answered at once. Raises `ConfigurationError`.
        """
        checks.seconds("latency", "seconds", seconds, most=_LONGEST)
        checks.seconds("latency", "jitter", jitter, most=_LONGEST)
        if jitter > seconds:
            raise checks.wrong("latency", "jitter", jitter, f"at most seconds, {seconds!r}")
        with self._pipeline.lock:
            self._pipeline.latency = (seconds, jitter)


def _check_retry_after(call: str, retry_after: object) -> None:
    if not callable(retry_after):
        rule = f"one of {', '.join(map(repr, RETRY_AFTER_FORMS))}, or a function"
        if not isinstance(retry_after, str) or retry_after not in RETRY_AFTER_FORMS:
            hint = checks.did_you_mean(retry_after, RETRY_AFTER_FORMS)
            raise checks.wrong(call, "retry_after", retry_after, rule, hint)

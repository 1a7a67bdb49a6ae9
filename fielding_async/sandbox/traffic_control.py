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

        A new limit starts counting from zero. All requests except those for tokens count, by real time. `kind`:

        - `"fixed-window"`: at most `per_second` times `window` requests (rounded down) in each window.
        - `"sliding-window"`: at most this number of requests in any period of `window` seconds.
        - `"token-bucket"`, `"leaky-bucket"`: `per_second` requests a second, and bursts of `burst` requests.
        - `"request-count"`: after `per_second` times `window` requests, whatever time they took, all are refused for
          `window` seconds. Whether a request is refused does not depend on the speed of the machine.

        `window`: the length of a window in seconds, above 0 and at most 86400; 1 if left out; not for buckets. `burst`:
        only for buckets. If left out, it is the requests of one second for `"token-bucket"`, and 1 (even spacing) for
        `"leaky-bucket"`. `retry_after`: the form of the header Retry-After: `"seconds"`, `"decimal"`, `"date"`,
        `"zero"`, `"absent"` (no header), or a function. The function gets the seconds to wait, and returns the text of
        the header, or `None` for no header.

        Raises `ConfigurationError` for a bad argument.
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
        """Answer a request with 429 if `requests` other requests are in progress; `None` removes the limit.

        `requests`: 1 or more. All requests except those for tokens count, from their arrival to their reply. `latency`,
        `Delay` and `Hold` keep requests in progress. `retry_after`: as in `rate_limit`, for a wait of one second.

        Raises `ConfigurationError` for a bad argument.
        """
        _check_retry_after("in_flight_limit", retry_after)
        if requests is not None:
            checks.whole("in_flight_limit", "requests", requests, 1)
        with self._pipeline.lock:
            self._pipeline.in_flight_limit, self._pipeline.in_flight_retry_after = requests, retry_after

    def latency(self, seconds: float, *, jitter: float = 0.0) -> None:
        """Let every request wait `seconds` of real time before the sandbox handles it; 0 removes the wait.

        `jitter`: the wait of each request is random, from `seconds` minus `jitter` to `seconds` plus `jitter`. Both are
        0 to 86400, and `jitter` is at most `seconds`. Requests that a limit refuses are answered at once.

        Raises `ConfigurationError` for a bad argument.
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

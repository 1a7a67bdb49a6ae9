"""Limits, retries and timeouts, with all their defaults; what other arguments of a session and of calls may be."""

from enum import Enum
from typing import Any, Final

from attrs import Attribute, field, frozen

from .errors import ConfigurationError, briefly

__all__ = [
    "DEFAULT_TIMEOUT",
    "MOST_SECONDS",
    "DefaultTimeout",
    "Limits",
    "Retry",
    "Timeout",
    "TimeoutArg",
    "check_drain",
    "check_name",
    "check_session",
    "check_timeout",
]

MOST_SECONDS = 1e9
"""The largest number of seconds, or of requests a second, that is accepted: as seconds, thirty years."""


def _number(*, minimum: float = 0.0, exclusive: bool = True, optional: bool = False) -> Any:
    """Return an attrs validator: a finite number above (or at) `minimum`."""

    def check(owner: Any, attribute: "Attribute[Any]", value: Any) -> None:
        if value is None and optional:
            return
        name = f"{type(owner).__name__}({attribute.name}={briefly(value)})"
        rule = f"a number {'greater than' if exclusive else 'of at least'} {minimum:g}, at most {MOST_SECONDS:g}"
        rule += ", or None" if optional else ""
        if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= MOST_SECONDS:
            raise ConfigurationError(f"{name}: must be {rule}")
        if exclusive and value == minimum:
            raise ConfigurationError(f"{name}: must be {rule}")

    return check


def _count(owner: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(
            f"{type(owner).__name__}({attribute.name}={value!r}): must be a whole number of at least 1"
        )


def _switch(owner: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{type(owner).__name__}({attribute.name}={briefly(value)}): must be True or False")


@frozen(kw_only=True)
class Limits:
    """How many requests a session has in flight, and how fast it sends them.

    `concurrency`: the greatest number of requests in flight, at least 1. If it is ten or more, rows of `perform_all`,
    pages of lists and polls of jobs leave room for one request of another call. `rate`: the rate limit in requests a
    second, above 0; `None` if it is not known. The session spaces requests evenly, and leaves one percent of the rate
    unused. `burst`: how many requests the session may send together after idle time, at least 1; only with a `rate`.
    `adaptive`: whether the session may search for a pace (a limit of requests a second) without a `rate`. The session
    then starts with a pace that grows with each accepted request. It sends a request at once if fewer than six requests
    are in flight (more if they come one by one). Without a 429 it is at full speed within a second. If pauses after
    429s take more than a third of the time twice in a row, it tries a pace. It drops this pace if it delivers no more
    requests than pauses alone. `max_pause`: the greatest number of seconds, above 0, for which the session obeys one
    Retry-After. After a longer Retry-After, it pauses for `max_pause`, and then first sends a single request.
    """

    __module__ = "fielding_async"

    concurrency: int = field(default=32, validator=_count)
    """The greatest number of requests in flight, at least 1."""
    rate: float | None = field(default=None, validator=_number(optional=True))
    """The rate limit in requests a second, above 0; `None` if it is not known."""
    burst: int = field(default=1, validator=_count)
    """With a `rate`: how many requests may be sent together after idle time, at least 1."""
    adaptive: bool = field(default=True, validator=_switch)
    """Whether the session may search for a pace if no `rate` is set."""
    max_pause: float = field(default=120.0, validator=_number())
    """The greatest number of seconds for which the session obeys one Retry-After, above 0."""


@frozen(kw_only=True)
class Retry:
    """How often a request is sent again, and how long the waits before that are.

    `max_attempts`: the greatest number of attempts for each request, at least 1. Attempts that got a 429 are not
    counted. `base`, `cap`: the wait between two attempts is random, from 0 to a ceiling, in seconds. The first ceiling
    is `base`. The ceiling doubles with each attempt, up to `cap`. Both are 0 or more. `conflict_base`: the ceiling of
    the random wait after the second 412 of a call, in seconds, 0 or more. If a request takes longer, the ceiling is the
    time of a request. After the first 412 there is no wait. With each further 412, the ceiling grows or falls, up to
    `cap`, depending on how busy the run is. With 0, there are no waits after a 412.
    """

    __module__ = "fielding_async"

    max_attempts: int = field(default=5, validator=_count)
    """The greatest number of attempts for each request, at least 1."""
    base: float = field(default=0.5, validator=_number(exclusive=False))
    """Seconds: the first ceiling of the random wait between attempts, 0 or more."""
    cap: float = field(default=20.0, validator=_number(exclusive=False))
    """Seconds: the longest ceiling of a random wait, 0 or more."""
    conflict_base: float = field(default=0.05, validator=_number(exclusive=False))
    """Seconds: the ceiling of the random wait after the second 412 of a call, 0 or more."""


@frozen(kw_only=True)
class Timeout:
    """Time limits, in seconds, above 0.

    `total`: the time for one call, from its first permission to send (the moment at which the session allows a request
    to be sent); `None` for no limit. A call that gets no such permission for this time, because the exchange answers
    with nothing but 429s, fails with `RateLimitError`. `connect`: the time to open a connection. `attempt`: the time
    for one attempt at a request, from its permission to send to the last byte of its reply. `job`: the time to wait for
    a job; `None` for no limit. `queue`: the time for which a call may wait for its turn on the run and for its first
    permission to send, from the start of the call, pauses included; `None` for no limit. A call that waits longer fails
    with `RateLimitError` if a pause is the reason, and with `DeadlineExceededError` if not. It fails at once if the
    wait cannot end in time. `queue` applies to each poll of a job's `wait` as well. It does not apply to rows of
    `perform_all`, to pages of lists, or to a call with `timeout=`.
    """

    __module__ = "fielding_async"

    total: float | None = field(default=60.0, validator=_number(optional=True))
    """Seconds for one call, above 0; `None` for no limit."""
    connect: float = field(default=10.0, validator=_number())
    """Seconds to open a connection, above 0."""
    attempt: float = field(default=20.0, validator=_number())
    """Seconds for one attempt at a request, above 0."""
    job: float | None = field(default=3600.0, validator=_number(optional=True))
    """Seconds to wait for a job, above 0; `None` for no limit."""
    queue: float | None = field(default=None, validator=_number(optional=True))
    """Seconds for which a call may wait for its turn and its first permission to send, above 0; `None` for no limit."""


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def check_session(limits: object, retry: object, timeout: object, etag_cache_size: object) -> None:
    """Check these arguments of a session; raises `ConfigurationError`."""
    if isinstance(etag_cache_size, bool) or not isinstance(etag_cache_size, int) or etag_cache_size < 1:
        raise ConfigurationError(f"etag_cache_size={etag_cache_size!r}: must be a whole number of at least 1")
    for name, value, cls, field_name in (
        ("limits", limits, Limits, "concurrency"),
        ("retry", retry, Retry, "max_attempts"),
        ("timeout", timeout, Timeout, "total"),
    ):
        if not isinstance(value, cls):
            given = value if isinstance(value, int | float) and not isinstance(value, bool) else "…"
            raise ConfigurationError(
                f"{name}: must be a {cls.__name__}, not {_kind(value)}: pass"
                f" {name}={cls.__name__}({field_name}={given})"
            )


def check_drain(value: object) -> float:
    """Return a `drain=` that is a number of seconds; raises `ConfigurationError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_SECONDS:
        raise ConfigurationError(
            f"drain={briefly(value)}: must be a number of seconds of at least 0, at most {MOST_SECONDS:g}"
        )
    return value


_LONGEST_NAME = 100  # characters: the name is in each log line and on each point of a metric


def check_name(value: object) -> str | None:
    """Return a `name=` that is a `str` of 1 to 100 printable characters, or `None`; raises `ConfigurationError`."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"name: must be a str, not {type(value).__name__}")
    if not 0 < len(value) <= _LONGEST_NAME or not value.isprintable() or value != value.strip():
        raise ConfigurationError(
            f"name={briefly(value)}: must have 1 to {_LONGEST_NAME} characters, all printable, with no blank at"
            " either end"
        )
    return value


class DefaultTimeout(Enum):
    """The type of `DEFAULT_TIMEOUT`, which has one member only."""

    __module__ = "fielding_async"

    SESSION = "the session's own"


DEFAULT_TIMEOUT: Final = DefaultTimeout.SESSION
"""The value of a `timeout=` that is left out: the session's own `Timeout` applies."""

TimeoutArg = float | None | DefaultTimeout
"""The type of `timeout=`: seconds above 0, counted from the call; `None` for no limit; or `DEFAULT_TIMEOUT`."""


def check_timeout(timeout: TimeoutArg) -> TimeoutArg:
    """Return a `timeout=` that is a number of seconds above 0, `None` or left out; raises `ConfigurationError`."""
    if timeout is None or timeout is DEFAULT_TIMEOUT:
        return timeout
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= MOST_SECONDS:
        hint = ""
        if isinstance(timeout, Timeout):
            hint = ": pass the seconds of this call; a Timeout is for FieldingSession(timeout=…)"
        elif hasattr(timeout, "total_seconds"):
            hint = ": pass its total_seconds()"
        raise ConfigurationError(
            f"timeout={briefly(timeout)}: must be a number of seconds greater than 0, at most {MOST_SECONDS:g}, or"
            f" None{hint}"
        )
    return timeout

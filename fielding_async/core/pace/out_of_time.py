"""The error of a call whose time ran out while its request waited: what it waited for, and what was ahead of it."""

import copy
from typing import Self

from fielding_async.core.errors import DeadlineExceededError, FieldingError, RateLimitError

__all__ = ["WAITED_FOR", "OutOfTimeError"]

WAITED_FOR = {"rate": "the pace", "concurrency": "a slot", "pause": "the pause after a 429"}
"""What a request waited for, in words."""


class OutOfTimeError(Exception):
    """Time ran out before an attempt could be sent, or would have.

    `pause`: the 429 whose pause is the reason, if one is. `waiting_for`: what the attempt waited for, if it waited, and
    what was ahead of it. `seconds`: how long it waited, if that is known. `is_begun`: it waited at all.
    """

    def __init__(
        self,
        pause: RateLimitError | None,
        waiting_for: str | None = None,
        *,
        seconds: float | None = None,
        is_begun: bool = True,
    ) -> None:
        super().__init__()
        self.pause = pause
        self.waiting_for = waiting_for
        self.seconds = seconds
        self.is_begun = is_begun

    @classmethod
    def in_line(
        cls,
        reason: str | None,
        pause: RateLimitError | None,
        *,
        ahead: int,
        pace: float | None,
        seconds: float | None = None,
        left: float | None = None,
    ) -> Self:
        """Return the error of a wait for a permission.

        `reason`: a `WaitReason`. `ahead`: how many requests were ahead. `pace`: requests a second, if that is known.
        `seconds`: how long it waited; or `left`: the seconds that were left, if the wait was not started.
        """
        facts: list[str] = []
        if ahead and reason != "pause":
            facts.append(f"{ahead} {'request was' if ahead == 1 else 'requests were'} ahead")
        if pace is not None and reason in {"rate", None}:
            facts.append(f"{_number(pace)} a second")
        if left is not None:
            facts.append(f"{_number(left)} s were left")
        waiting_for = WAITED_FOR[reason or "rate"] + (": " if facts else "") + ", ".join(facts)
        return cls(pause, waiting_for, seconds=seconds, is_begun=left is None)

    def message(self) -> str:
        """Return what is wrong, in words."""
        after = "" if self.seconds is None else f" after {_number(self.seconds)} s"
        waiting = "" if self.waiting_for is None else f" while waiting for {self.waiting_for}"
        return f"time {'ran' if self.is_begun else 'would run'} out{after}{waiting}"

    def error(self, method: str | None, path: str | None, last: FieldingError | None) -> FieldingError:
        """Return the error of the call: the 429 that it waited for, if that is the reason.

        `method`, `path`: of the request. `last`: the failure of the attempt before, if there was one.
        """
        error: FieldingError
        if self.pause is None:
            after = "" if last is None else f"{'' if self.waiting_for is None else ','} after: {last.message}"
            error = DeadlineExceededError(f"{self.message()}{after}", method=method, path=path)
            error.__cause__ = last
            return error
        error = copy.copy(self.pause)
        error.__dict__.update(method=method, path=path, ref=None, trace_id=None, idempotency_key=None)
        error.message += f" ({self.message()})"
        return error


def _number(value: float) -> str:
    return f"{round(value, 3):.3g}" if value < 1000 else f"{value:.0f}"

"""What is known of an outage while a batch waits for its end."""

from collections.abc import Iterator

from attrs import define

from fielding_async.core.batch_values import Outage

__all__ = ["OutageState", "reason_of"]


def reason_of(error: BaseException) -> str:
    """Return why an error is the cause of an outage, in words."""
    return str(getattr(error, "message", None) or error) or type(error).__name__


@define(eq=False)
class OutageState:
    """An outage, which lasts until a row is accepted. Times are those of the loop's clock, in seconds.

    `accepted`: how many rows had been when it started. `waits`: between probes. `needs_trial`: a probe says nothing, as
    GETs are answered, so that a row has to be tried.
    """

    began: float
    accepted: int
    reason: str
    waits: Iterator[float]
    next_probe_at: float | None = None
    needs_trial: bool = False
    is_given_up: bool = False

    def left(self, now: float, wait: float) -> float:
        """Return for how many seconds more the batch waits, `wait` in all; 0 or less if it does not."""
        return self.began + wait - now

    def value(self, now: float, wait: float) -> Outage:
        """Return what users see of it. The batch waits `wait` seconds at most."""
        return Outage(
            reason=self.reason,
            seconds=now - self.began,
            next_probe_in=None if self.next_probe_at is None else max(0.0, self.next_probe_at - now),
            wait_left=0.0 if self.is_given_up else max(0.0, self.left(now, wait)),
            is_given_up=self.is_given_up,
        )

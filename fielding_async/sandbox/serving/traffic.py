"""How many requests came in each second, and what was answered, for a plot."""

from collections import deque

from attrs import asdict, define

__all__ = ["Second", "Traffic"]

_SECONDS = 120


@define
class Second:
    """One second of real time. `refused`: by a limit (429). `conflicts`: 412. `errors`: 5xx."""

    at: int
    requests: int = 0
    refused: int = 0
    conflicts: int = 0
    errors: int = 0


class Traffic:
    """The latest 120 seconds in which requests came, and how many requests are in progress."""

    def __init__(self) -> None:
        self.in_flight: int = 0
        self.limit: float | None = None
        self._seconds: deque[Second] = deque(maxlen=_SECONDS)

    def arrived(self, at: float, *, is_refused: bool) -> None:
        """Count a request. `at`: in seconds of a monotonic clock."""
        second = self._second(int(at))
        second.requests += 1
        second.refused += is_refused

    def answered(self, status: int) -> None:
        """Count the status of a reply, in the second of the latest request."""
        if self._seconds and (status == 412 or status >= 500):
            self._seconds[-1].conflicts += status == 412
            self._seconds[-1].errors += status >= 500

    def since(self, at: int) -> list[dict[str, int]]:
        """Return the seconds from this one on, with the current one last."""
        return [asdict(second) for second in self._seconds if second.at >= at]

    def _second(self, at: int) -> Second:
        if not self._seconds or self._seconds[-1].at < at:
            self._seconds.append(Second(at))
        return self._seconds[-1]

"""What a sandbox does to its clients: scripted faults, and runs that the exchange pauses by itself."""

from datetime import timedelta
from typing import Any

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef, RunStatus

from .faults import Fault
from .records import Records

__all__ = ["FaultControl"]

_LONGEST = 1e10  # seconds: more would lead beyond the year 9999


class FaultControl(Records):
    """The part of a `Sandbox` that scripts faults, and lets the exchange pause runs."""

    def script(self, *faults: Fault | tuple[Fault, ...], on: str | None = None, ref: RunRef | None = None) -> None:
        """Apply each of these faults once, in this order: a request meets the first unused one that matches it.

        The faults of a tuple apply to one request together. `on`: the name of an operation (`"get"`,
        `"launch-now"`, `"bulk-relaunch"`, `"bulk-relaunch-status"`, `"token"`, …) or a method (`"GET"`,
        `"PUT"`, `"POST"`); `None` for any operation but `"token"`. `ref`: only requests about this run.
        Requests that are refused by the rate limit meet no fault. Raises `ConfigurationError` for a value
        that is no fault, or an unknown `on`.
        """
        with self._pipeline.lock:
            self._pipeline.script.add(faults, on, ref)

    @property
    def unused_faults(self) -> list[Fault]:
        """The scripted faults that no request has met yet."""
        with self._pipeline.lock:
            return self._pipeline.script.unused()

    def clear_faults(self) -> None:
        """Remove the scripted faults that no request has met yet."""
        with self._pipeline.lock:
            self._pipeline.script.clear()

    def assert_faults_used(self) -> None:
        """Raise `AssertionError`, naming them, if scripted faults are unused."""
        unused = self.unused_faults
        if unused:
            raise AssertionError(f"scripted faults that never struck: {', '.join(map(repr, unused))}")

    def pause_by_exchange(self, ref: RunRef, *, after: float = 0.0, requests: int | None = None) -> None:
        """Let the exchange pause a live run by itself, as it does when a soft launch ends or a cost limit is met.

        `after`: in how many seconds of the sandbox's clock, 0 to 1e10; 0 is now. `requests`: after how many more
        requests about this run, 1 or more, whatever their answer. Only one of the two may be given. A run that is
        not live at that time is left as it is. `Behaviour` says whether version and ETag step. `history` shows it
        as `"exchange-pause"`.

        Raises `KeyError` if there is no such run, `ConfigurationError` for a bad argument, and for a run that is
        to be paused now and is not live.
        """
        named = f"pause_by_exchange(after={after!r}, requests={requests!r})"
        if not _is_number(after) or not 0 <= after <= _LONGEST:
            raise ConfigurationError(f"{named}: after must be seconds, 0 to {_LONGEST:.0f}")
        if requests is not None and (not _is_number(requests) or not isinstance(requests, int) or requests < 1):
            raise ConfigurationError(f"{named}: requests must be a whole number of 1 or more")
        if requests is not None and after:
            raise ConfigurationError(f"{named}: pass after or requests, not both")
        pipeline = self._pipeline
        with pipeline.lock:
            now = pipeline.now()
            run = pipeline.engine.inspect(ref, now)
            if run is None:
                raise KeyError(f"no such run: {ref}")
            if requests is not None:
                pipeline.pause_after_requests(ref, requests)
                return
            if not after and run.status != RunStatus.LIVE:
                raise ConfigurationError(f"{named}: the run is {run.status}: the exchange pauses live runs only")
            pipeline.engine.pause_by_exchange(ref, now + timedelta(seconds=after), now)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

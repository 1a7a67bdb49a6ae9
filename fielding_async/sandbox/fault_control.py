"""What a sandbox does to its clients: scripted faults, and runs that the exchange pauses by itself."""

from datetime import timedelta

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef, RunStatus

from .faults.values import Fault
from .records import Records
from .serving import checks
from .serving.run_handles import RunHandle
from .world.rules import SOFT_LAUNCH_ENDED, known_reason

__all__ = ["FaultControl"]


class FaultControl(Records):
    """The part of a `Sandbox` that scripts faults, and lets the exchange pause runs."""

    def script(
        self, *faults: Fault | tuple[Fault, ...], on: str | None = None, ref: RunRef | RunHandle | None = None
    ) -> None:
        """Apply each of these faults once, in this order. A request gets the first unused fault that matches it.

        The faults of a tuple apply to one request together. `on`: the name of an operation (`"get"`, `"launch-now"`,
        `"bulk-relaunch"`, `"bulk-relaunch-status"`, `"token"`, …) or a method (`"GET"`, `"PUT"`, `"POST"`); `None` for
        any operation except `"token"`. `ref`: if given, the faults match only requests about this run. A request that
        the rate limit refuses gets no fault.

        Raises `ConfigurationError` for a value that is not a fault, for an unknown `on`, and for a fault that cannot
        apply to any such request. It is also raised for a tuple in which one fault has no effect because of another:
        for example, after `Refuse()` there is no reply to delay.
        """
        with self._pipeline.lock:
            self._pipeline.script.add(faults, on, ref)

    @property
    def unused_faults(self) -> list[Fault]:
        """The scripted faults that no request has got yet."""
        with self._pipeline.lock:
            return self._pipeline.script.unused()

    def clear_faults(self) -> None:
        """Remove the scripted faults that no request has got yet."""
        with self._pipeline.lock:
            self._pipeline.script.clear()

    def release_holds(self) -> int:
        """Release all `Hold` faults that were scripted since the last call, by anybody, and return their number."""
        with self._pipeline.lock:
            holds = self._pipeline.script.take_holds()
        for hold in holds:
            hold.release()
        return len(holds)

    def assert_faults_used(self) -> None:
        """Raise an `AssertionError` that names the unused faults, if there are any."""
        unused = self.unused_faults
        if unused:
            raise AssertionError(
                f"scripted faults that were never used: {', '.join(map(repr, unused))}: send the"
                " requests they are for, or do not script them"
            )

    def pause_by_exchange(
        self,
        ref: RunRef | RunHandle,
        *,
        after: float = 0.0,
        requests: int | None = None,
        reason: str = SOFT_LAUNCH_ENDED,
    ) -> None:
        """Let the exchange pause a live run by itself, as it does when a soft launch ends or a cost limit is reached.

        `after`: the seconds of the sandbox's clock until the pause, 0 to 1e10; 0 is now. `requests`: the number of
        requests about this run until the pause, 1 or more; requests that fail are counted too. You may give only one of
        these two arguments. `reason`: a reason code of the API, which the change log of the target group then shows.

        If the run is not live at that time, it stays as it is. `Behaviour` determines whether the pause raises the
        version and changes the ETag. `history` shows the pause as `"exchange-pause"`.

        Raises `KeyError` if there is no such run, and `ConfigurationError` for a bad argument, or for a run that is not
        live and is to be paused now.
        """
        named = f"pause_by_exchange(after={after!r}, requests={requests!r})"
        ref = checks.run_ref("pause_by_exchange", ref)
        checks.seconds("pause_by_exchange", "after", after)
        if requests is not None:
            checks.whole("pause_by_exchange", "requests", requests, 1)
        if requests is not None and after:
            raise ConfigurationError(f"{named}: pass after or requests, not both")
        known_reason(reason)
        pipeline = self._pipeline
        with pipeline.lock:
            now = pipeline.now()
            run = pipeline.engine.inspect(ref, now)
            if run is None:
                raise KeyError(f"no such run: {ref}: use a ref that add_run returned")
            if requests is not None:
                pipeline.pause_after_requests(ref, requests, reason)
                return
            if not after and run.status != RunStatus.LIVE:
                raise ConfigurationError(
                    f"{named}: the run must be live, as the exchange pauses no others, and is {run.status}"
                )
            pipeline.engine.pause_by_exchange(ref, now + timedelta(seconds=after), now, reason)

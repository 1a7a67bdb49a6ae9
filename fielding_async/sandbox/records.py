"""What a sandbox has seen and done: the writes, requests and jobs."""

from .lifecycle import ServerLifecycle
from .serving.request_log import ReceivedRequest
from .world.assistants import AssistantWrite
from .world.records import JobRecord, Write

__all__ = ["Records"]


class Records(ServerLifecycle):
    """The part of a `Sandbox` that shows what has happened."""

    @property
    def history(self) -> tuple[Write, ...]:
        """The writes applied to runs, in order, by any writer: those that `keep` and `keep_bytes` allow."""
        with self._pipeline.lock:
            self._pipeline.engine.catch_up(self._pipeline.now())
            return tuple(self._pipeline.engine.runs.writes)

    @property
    def assistant_history(self) -> tuple[AssistantWrite, ...]:
        """The writes applied to assistants, in order, by any writer: those that `keep` and `keep_bytes` allow."""
        with self._pipeline.lock:
            return tuple(self._pipeline.engine.assistants.writes)

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """The requests received, in order of arrival: those that `keep` and `keep_bytes` allow."""
        with self._pipeline.lock:
            return self._pipeline.requests.all()

    @property
    def failures(self) -> tuple[Exception, ...]:
        """The exceptions raised inside the sandbox: by its server, its rules, or a function that was given to it.

        A client may have handled what such an exception did to its request. So leaving `async with` or `with`, `stop()`
        and the fixture `fielding_sandbox` raise them, beside an exception of the block, in an `ExceptionGroup`. The
        first 20 are kept.
        """
        return self._pipeline.failures.all()

    def clear_failures(self) -> None:
        """Forget the exceptions raised inside the sandbox, for a test that expects them."""
        self._pipeline.failures.clear()

    @property
    def jobs(self) -> tuple[JobRecord, ...]:
        """Every draft and bulk job made, in order, in its current state."""
        with self._pipeline.lock:
            self._pipeline.engine.catch_up(self._pipeline.now())
            return tuple(self._pipeline.engine.jobs.records.values())

    @property
    def dropped_writes(self) -> int:
        """How many writes have fallen out of `history`."""
        with self._pipeline.lock:
            return self._pipeline.engine.runs.bound.dropped

    @property
    def dropped_requests(self) -> int:
        """How many requests have fallen out of `requests`."""
        with self._pipeline.lock:
            return self._pipeline.requests.dropped

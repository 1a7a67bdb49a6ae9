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
        """The writes that were applied to runs, by any writer, in order; as many as `keep` and `keep_bytes` allow."""
        with self._pipeline.lock:
            self._pipeline.engine.catch_up(self._pipeline.now())
            return tuple(self._pipeline.engine.runs.writes)

    @property
    def assistant_history(self) -> tuple[AssistantWrite, ...]:
        """The writes that were applied to assistants, by any writer, in order; see `keep` and `keep_bytes`."""
        with self._pipeline.lock:
            return tuple(self._pipeline.engine.assistants.writes)

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """The requests that were received, in order of arrival; as many as `keep` and `keep_bytes` allow."""
        with self._pipeline.lock:
            return self._pipeline.requests.all()

    @property
    def failures(self) -> tuple[Exception, ...]:
        """The exceptions raised inside the sandbox: by its server, its rules, or a function that you passed to it.

        A client may have handled the failure of its request, so that a test does not notice the exception. So the end
        of an `async with` or `with` block, `stop()` and the fixture `fielding_sandbox` raise these exceptions in an
        `ExceptionGroup`, together with an exception of the block. The first 20 are kept.
        """
        return self._pipeline.failures.all()

    def clear_failures(self) -> None:
        """Forget the exceptions raised inside the sandbox, for a test that expects them."""
        self._pipeline.failures.clear()

    @property
    def jobs(self) -> tuple[JobRecord, ...]:
        """Every draft job and bulk job, in the order in which they were made, in its current state."""
        with self._pipeline.lock:
            self._pipeline.engine.catch_up(self._pipeline.now())
            return tuple(self._pipeline.engine.jobs.records.values())

    @property
    def dropped_writes(self) -> int:
        """How many writes are no longer in `history`."""
        with self._pipeline.lock:
            return self._pipeline.engine.runs.bound.dropped

    @property
    def dropped_requests(self) -> int:
        """How many requests are no longer in `requests`."""
        with self._pipeline.lock:
            return self._pipeline.requests.dropped

"""The handles of draft jobs and bulk jobs: their ids, their status, and waiting for their end."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import field, frozen

from fielding_async.core.config import DEFAULT_TIMEOUT, TimeoutArg, check_timeout
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.job_results import BatchResult, DraftResult
from fielding_async.core.models import RunRef
from fielding_async.core.wire.bodies import decode_batch_result, decode_draft_result
from fielding_async.core.wire.operations import Operation
from fielding_async.core.wire.structuring import Report
from fielding_async.engine.engine import EngineSource
from fielding_async.engine.jobs.job_calls import JobQuery, Position, get_job, wait_for_job

__all__ = ["BatchJob", "DraftJob"]


@frozen
class _Job(ABC):
    _session: EngineSource = field(repr=False)
    _row: Operation = field(repr=False)
    ids: tuple[tuple[str, Any], ...]
    """The ids in the path of the job, each with its name."""
    job_id: str
    """The job's id. Source: header `Location` of the reply to the request that made the job."""
    idempotency_key: str | None = field(default=None, eq=False)
    """The key of the request that made the job; `None` in a handle that was made from stored ids without it."""
    trace_id: str | None = field(default=None, eq=False)
    """The W3C trace id of the call that made the job; `None` in a handle that was made from stored ids."""
    _made_by: Position | None = field(default=None, eq=False, repr=False, kw_only=True, alias="made_by")

    @abstractmethod
    def _decode(self, body: bytes, report: Report) -> Any: ...

    @abstractmethod
    def _touches(self, ref: RunRef) -> bool: ...

    def _query(self) -> JobQuery:
        return JobQuery(self._row, dict(self.ids), self._made_by, self._decode, self._touches)

    async def _status(self, timeout: TimeoutArg) -> Any:
        return await get_job(self._session.engine(), self._query(), timeout)

    async def _wait(self, timeout: TimeoutArg, on_poll: Callable[[Any], Awaitable[None] | None] | None) -> Any:
        engine = self._session.engine()
        own = check_timeout(timeout)
        if on_poll is not None and not callable(on_poll):
            raise ConfigurationError(f"on_poll: must be callable, not {type(on_poll).__name__}")
        limits = engine.settings.timeout
        limit, queue = (limits.job, limits.queue) if own is DEFAULT_TIMEOUT else (own, None)
        return await wait_for_job(engine, self._query(), self.job_id, limit, on_poll, queue=queue)


@frozen
class BatchJob(_Job):
    """The handle of a bulk job. Handles with the same session and the same ids are equal."""

    __module__ = "fielding_async"

    target_group_ids: tuple[str, ...] = field(default=(), eq=False, repr=False)
    """The target groups that the job changes; empty in a handle that was made from stored ids without them."""

    def _decode(self, body: bytes, report: Report) -> BatchResult:
        return decode_batch_result(body, self.target_group_ids, report)

    def _touches(self, ref: RunRef) -> bool:
        ids = dict(self.ids)
        if (ref.account_id, ref.project_id) != (ids["account_id"], ids["project_id"]):
            return False
        return not self.target_group_ids or ref.target_group_id in self.target_group_ids

    async def status(self, *, timeout: TimeoutArg = DEFAULT_TIMEOUT) -> BatchResult:
        """Return the job as it is now. `timeout`: seconds from now.

        Source: `GET …/batch-jobs/…-by-target-group-id/{job_id}`. Raises `NotFoundError`, `TransportError` and the other
        errors of a read.
        """
        result: BatchResult = await self._status(timeout)
        return result

    async def wait(
        self,
        *,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
        on_poll: Callable[[BatchResult], Awaitable[None] | None] | None = None,
    ) -> BatchResult:
        """Wait until the job has ended, and return its result, which lists the target groups that failed.

        The call polls the job. The random waits between the polls grow, and are at least as long as the Retry-After of
        the last reply.

        `timeout`: seconds from now. If left out, `Timeout.job` applies. `None` is no limit. `on_poll`: a function,
        plain or async, that is called with the result of each poll.

        Raises `JobFailedError` for a job that ended `Failed`, and `DeadlineExceededError` when time ran out: the
        exchange continues the job, and you can call `wait` again.
        """
        result: BatchResult = await self._wait(timeout, on_poll)
        return result


@frozen
class DraftJob(_Job):
    """The handle of a launch-from-draft or schedule-from-draft job.

    Handles with the same session and the same ids are equal.
    """

    __module__ = "fielding_async"

    def _decode(self, body: bytes, report: Report) -> DraftResult:
        return decode_draft_result(body, report)

    def _touches(self, ref: RunRef) -> bool:
        return all(getattr(ref, name, value) == value for name, value in self.ids)

    async def status(self, *, timeout: TimeoutArg = DEFAULT_TIMEOUT) -> DraftResult:
        """Return the job as it is now. `timeout`: seconds from now.

        Source: `GET …/fielding-run-jobs/…-from-draft/{job_id}`. Raises `NotFoundError`, `TransportError` and the other
        errors of a read.
        """
        result: DraftResult = await self._status(timeout)
        return result

    async def wait(
        self,
        *,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
        on_poll: Callable[[DraftResult], Awaitable[None] | None] | None = None,
    ) -> DraftResult:
        """Wait until the job has ended, and return its result: see `BatchJob.wait`.

        `timeout`: seconds from now. If left out, `Timeout.job` applies. `None` is no limit.

        Raises `JobFailedError`, whose `result` has the reasons, for a job that ended `Failed`.
        """
        result: DraftResult = await self._wait(timeout, on_poll)
        return result

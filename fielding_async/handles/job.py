"""Draft jobs and bulk jobs: made once whatever happens to the reply, then asked for until they end."""

import asyncio
import inspect
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from fielding_async.core.errors import (
    ConfigurationError,
    DeadlineExceededError,
    FieldingError,
    JobFailedError,
    NotFoundError,
    ServerError,
    TransportError,
    public_name,
)
from fielding_async.core.ids import check_idempotency_key
from fielding_async.core.job_results import BatchResult, DraftResult
from fielding_async.core.models import JobResult, RunRef
from fielding_async.core.redaction import without
from fielding_async.core.wire.bodies import decode_batch_result, decode_draft_result
from fielding_async.core.wire.operations import Operation
from fielding_async.core.wire.replies import Response, created_job_id, reply_delay, request
from fielding_async.engine.backoff_waits import poll_waits
from fielding_async.engine.call import Call, Ended
from fielding_async.engine.endings import unknown
from fielding_async.engine.engine import DEFAULT, Engine, EngineSource, TimeoutArg, check_timeout
from fielding_async.telemetry.call_trace import Position

__all__ = ["BatchJob", "DraftJob", "Made", "make_job"]

_VISIBLE_WITHIN = 30.0  # seconds for which a 404 may only mean that a job just made cannot be seen yet


@frozen
class Made:
    """A job that was made."""

    job_id: str
    idempotency_key: str
    trace_id: str
    position: Position | None = None


async def make_job(
    engine: Engine,
    row: Operation,
    ids: Mapping[str, Any],
    body: Mapping[str, Any],
    *,
    idempotency_key: str | None,
    timeout: TimeoutArg,
    touches: Callable[[RunRef], bool],
) -> Made:
    """Make a job: one idempotency key, the same bytes on every attempt, hence one job. Forgets the runs it touches.

    Raises `OutcomeUnknownError`, which bears the key, if an attempt may have made it and no reply came.
    """
    key = str(uuid.uuid4()) if idempotency_key is None else check_idempotency_key(idempotency_key)
    asked = request(row, ids, headers=[("Idempotency-Key", key)], body=body)
    with engine.call(row.name, timeout, ids=ids, idempotency_key=key) as call:
        try:
            ended = await engine.exchanger.exchange(call, asked)
        except asyncio.CancelledError as cancelled:
            call.abandoned = True
            if call.in_flight is not None or (call.attempts is not None and call.attempts.may_be_applied):
                text = f"{row.name} was cancelled, and its job may or may not be made"
                call.tell_doubt(cancelled, f"{text}; send it again with idempotency_key={key!r} to be sure")
            raise
        finally:
            engine.store.forget_where(touches)
        if ended.accepted is None:
            raise _not_made(ended, call)
        try:
            job_id = created_job_id(ended.accepted)
        except FieldingError as error:
            raise error.filled(method=row.method, path=asked.path) from None
        call.trace.made_job(job_id)
        return Made(job_id, key, call.trace.trace_id, call.trace.position)


def _not_made(ended: Ended, call: Call) -> FieldingError:
    failure = ended.error
    attempts = ended.attempts
    if not attempts.may_be_applied:
        return failure
    if ended.gave_up and attempts.only_server_errors and attempts.server_error is not None:
        return attempts.server_error
    what = f"{call.name}: the job may or may not have been made; the same idempotency key can be sent again safely"
    return unknown(what, failure, None, ended.out_of_time)


async def _ask(engine: Engine, call: Call, row: Operation, ids: Mapping[str, Any]) -> Response:
    ended = await engine.exchanger.exchange(call, request(row, ids))
    if ended.accepted is None:
        raise ended.error
    return ended.accepted


class _Waiting:
    """When to poll next, and which failures of a poll mean nothing yet."""

    def __init__(self, engine: Engine, call: Call) -> None:
        self._engine = engine
        self._waits: Iterator[float] = poll_waits(engine.uniform)
        self._call = call
        self._began = engine.loop.time()

    def bears(self, error: FieldingError) -> bool:
        """Whether polling goes on after this failure."""
        if isinstance(error, NotFoundError):
            return self._engine.loop.time() - self._began < _VISIBLE_WITHIN
        return isinstance(error, TransportError | ServerError) and not self._engine.exchanger.closing

    async def pause(self, at_least: float, last: JobResult | FieldingError) -> None:
        """Wait for the time of the next poll; raises when that is beyond the deadline."""
        if not await self._engine.exchanger.sleep(max(next(self._waits), at_least), self._call.deadline):
            raise _too_late(last)


def _too_late(last: JobResult | FieldingError) -> DeadlineExceededError:
    if isinstance(last, JobResult):
        return DeadlineExceededError(f"time ran out with job {last.job_id} still {last.status}; it goes on by itself")
    return DeadlineExceededError(f"time ran out; the last poll failed: {last.message}")


@frozen
class _Job(ABC):
    session: EngineSource = field(repr=False)
    row: Operation = field(repr=False)
    ids: tuple[tuple[str, Any], ...]
    job_id: str
    idempotency_key: str | None = field(default=None, eq=False)
    trace_id: str | None = field(default=None, eq=False)
    made_by: Position | None = field(default=None, eq=False, repr=False, kw_only=True)

    @abstractmethod
    def _decode(self, body: bytes) -> Any: ...

    @abstractmethod
    def _touches(self, ref: RunRef) -> bool: ...

    async def _status(self, timeout: TimeoutArg) -> Any:
        engine = self.session.engine()
        with engine.call(self.row.name, timeout, ids=dict(self.ids), link=self.made_by) as call:
            return self._seen(engine, await _ask(engine, call, self.row, dict(self.ids)))

    def _seen(self, engine: Engine, response: Response) -> Any:
        result = self._decode(response.body)
        for secret in engine.keeper.secrets():  # the errors that may yet be made of it hold what it holds
            result = without(secret, result)
        if result.ended:
            engine.store.forget_where(self._touches)
        return result

    async def _wait(self, timeout: TimeoutArg, on_poll: Callable[[Any], Awaitable[None] | None] | None) -> Any:
        engine = self.session.engine()
        own = check_timeout(timeout)
        if on_poll is not None and not callable(on_poll):
            raise ConfigurationError(f"on_poll: must be callable, not {type(on_poll).__name__}")
        limit = engine.settings.timeout.job if own is DEFAULT else own
        name = f"{self.row.name.removesuffix('-status')}-wait"
        with engine.call(name, limit, ids=dict(self.ids), link=self.made_by) as call:
            waiting = _Waiting(engine, call)
            last: JobResult | FieldingError | None = None
            while True:
                at_least = 0.0
                try:
                    response = await _ask(engine, call, self.row, dict(self.ids))
                except DeadlineExceededError as error:
                    raise _too_late(last or error) from error
                except FieldingError as error:
                    if not waiting.bears(error):
                        raise
                    call.trace.polling_on(public_name(error))
                    last = error
                else:
                    result: JobResult = self._seen(engine, response)
                    last = result
                    if on_poll is not None and inspect.isawaitable(told := on_poll(result)):
                        await told
                    if result.status == "Failed":
                        raise JobFailedError(f"job {self.job_id} failed{_because(result)}", result=result)
                    if result.ended:
                        return result
                    at_least = reply_delay(response)
                await waiting.pause(at_least, last)


def _because(result: JobResult) -> str:
    failure = result.failure if isinstance(result, DraftResult) else None
    return "" if failure is None else f": {failure.code}: {failure.description}"


@frozen
class BatchJob(_Job):
    """A bulk job. Equal to another of the same session and ids.

    `job_id`; `idempotency_key` and `trace_id` of the request that made it (`None` in a handle rebuilt without them);
    `target_group_ids`: what it was asked for.
    """

    __module__ = "fielding_async"

    target_group_ids: tuple[str, ...] = field(default=(), eq=False, repr=False)

    def _decode(self, body: bytes) -> BatchResult:
        return decode_batch_result(body, self.target_group_ids)

    def _touches(self, ref: RunRef) -> bool:
        ids = dict(self.ids)
        if (ref.account_id, ref.project_id) != (ids["account_id"], ids["project_id"]):
            return False
        return not self.target_group_ids or ref.target_group_id in self.target_group_ids

    async def status(self, *, timeout: TimeoutArg = DEFAULT) -> BatchResult:
        """Return the job as it stands. `timeout`: seconds from now.

        Source: `GET …/batch-jobs/…-by-target-group-id/{job_id}`. Raises `NotFoundError`, `TransportError` and the
        other errors of a read.
        """
        result: BatchResult = await self._status(timeout)
        return result

    async def wait(
        self, *, timeout: TimeoutArg = DEFAULT, on_poll: Callable[[BatchResult], Awaitable[None] | None] | None = None
    ) -> BatchResult:
        """Wait until the job has ended, and return what became of it; target groups that failed are data in it.

        Polls at growing, jittered intervals, or as the reply's Retry-After says. `timeout`: seconds from now (left
        out: `Timeout.job`; `None`: no limit). `on_poll` (plain or async) is called with each result. Raises
        `JobFailedError` for a job that ended `Failed`, `DeadlineExceededError` when time ran out: the job goes on by
        itself, and waiting can be taken up again.
        """
        result: BatchResult = await self._wait(timeout, on_poll)
        return result


@frozen
class DraftJob(_Job):
    """A launch-from-draft or schedule-from-draft job. Equal to another of the same session and ids.

    `job_id`; `idempotency_key` and `trace_id` of the request that made it (`None` in a handle rebuilt without them).
    """

    __module__ = "fielding_async"

    def _decode(self, body: bytes) -> DraftResult:
        return decode_draft_result(body)

    def _touches(self, ref: RunRef) -> bool:
        return all(getattr(ref, name, value) == value for name, value in self.ids)

    async def status(self, *, timeout: TimeoutArg = DEFAULT) -> DraftResult:
        """Return the job as it stands. `timeout`: seconds from now.

        Source: `GET …/fielding-run-jobs/…-from-draft/{job_id}`. Raises `NotFoundError`, `TransportError` and the other
        errors of a read.
        """
        result: DraftResult = await self._status(timeout)
        return result

    async def wait(
        self, *, timeout: TimeoutArg = DEFAULT, on_poll: Callable[[DraftResult], Awaitable[None] | None] | None = None
    ) -> DraftResult:
        """Wait until the job has ended, and return what became of it: see `BatchJob.wait`.

        `timeout`: seconds from now (left out: `Timeout.job`; `None`: no limit). Raises `JobFailedError`, whose `result`
        has the reasons, for a job that ended `Failed`.
        """
        result: DraftResult = await self._wait(timeout, on_poll)
        return result

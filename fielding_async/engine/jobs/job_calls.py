"""The calls of draft jobs and bulk jobs: a job is made once, also if a reply is lost, and polled until it ends."""

import asyncio
import inspect
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from fielding_async.core.config import TimeoutArg
from fielding_async.core.conflict.attempts import RequestEnd
from fielding_async.core.errors import (
    DeadlineExceededError,
    FieldingError,
    JobFailedError,
    NotFoundError,
    ServerError,
    TransportError,
    public_name,
)
from fielding_async.core.ids import check_idempotency_key
from fielding_async.core.job_results import DraftResult
from fielding_async.core.models import JobResult, RunRef
from fielding_async.core.wire.operations import Operation
from fielding_async.core.wire.replies import Response, created_job_id, decoded, reply_delay
from fielding_async.core.wire.requests import request
from fielding_async.core.wire.structuring import Report
from fielding_async.engine.backoff_waits import poll_waits
from fielding_async.engine.call import Call
from fielding_async.engine.engine import Engine
from fielding_async.telemetry.call_trace import Position

__all__ = ["JobQuery", "Made", "Position", "get_job", "make_job", "wait_for_job"]

_VISIBLE_WITHIN = 30.0  # seconds for which a 404 may only mean that a job just made is not visible yet


@frozen
class Made:
    """A job that was made. `position`: the span of the call that made it."""

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
    """Make a job, and forget the runs that it touches.

    Every attempt sends the same bytes with the same idempotency key, so there is one job. Raises `OutcomeUnknownError`,
    with the key, if an attempt may have made it and no reply came.
    """
    key = str(uuid.uuid4()) if idempotency_key is None else check_idempotency_key(idempotency_key)
    asked = request(row, ids, headers=[("Idempotency-Key", key)], body=body)
    with engine.call(row.name, timeout, ids=ids, idempotency_key=key) as call:
        pending = engine.sender.prepare(call, asked)
        try:
            end = await engine.sender.send(pending)
        except asyncio.CancelledError as cancelled:
            text = f"{row.name} was cancelled, and its job may or may not be made"
            pending.cancelled(cancelled, f"{text}; send it again with idempotency_key={key!r} to be sure")
            raise
        finally:
            _forget(engine, touches)
        if end.accepted is None:
            raise _not_made(end, call)
        try:
            job_id = created_job_id(end.accepted)
        except FieldingError as error:
            raise error.filled(method=row.method, path=asked.path) from None
        call.trace.made_job(job_id)
        return Made(job_id, key, call.trace.trace_id, call.trace.position)


def _forget(engine: Engine, touches: Callable[[RunRef], bool]) -> None:
    """Forget the pairs of the runs that a job touches, and take back their hints as far as these runs are known."""
    refs = engine.memory.forget_where(touches)
    if engine.hints is not None:
        for ref in refs:
            engine.hints.drop(ref, None)


def _not_made(end: RequestEnd, call: Call) -> FieldingError:
    attempts = end.attempts
    if not attempts.may_be_applied:
        return end.error
    if end.gave_up and attempts.only_server_errors and attempts.server_error is not None:
        return attempts.server_error
    what = f"{call.name}: the job may or may not have been made; the same idempotency key can be sent again safely"
    return end.unknown(what)


@frozen
class JobQuery:
    """How a job is fetched. `decode` reads the reply's body; `touches`: which runs the job changes when it ends."""

    row: Operation
    ids: Mapping[str, Any]
    made_by: Position | None
    decode: Callable[[bytes, Report], Any]
    touches: Callable[[RunRef], bool]


async def get_job(engine: Engine, query: JobQuery, timeout: TimeoutArg) -> Any:
    """Return a job as it stands. Raises the errors of a read."""
    with engine.call(query.row.name, timeout, ids=query.ids, link=query.made_by) as call:
        return _result(engine, query, call, await _poll(engine, query, call))


async def wait_for_job(
    engine: Engine,
    query: JobQuery,
    job_id: str,
    timeout: TimeoutArg,
    on_poll: Callable[[Any], Awaitable[None] | None] | None,
    *,
    queue: float | None,
) -> Any:
    """Poll a job until it has ended, and return its result.

    The polls let other calls go first. `queue`: seconds that each may wait for its permission; `None`: no limit.
    Raises `JobFailedError` for one that ended `Failed`, `DeadlineExceededError` when time runs out.
    """
    name = f"{query.row.name.removesuffix('-status')}-wait"
    with engine.call(name, timeout, ids=query.ids, link=query.made_by, is_background=True) as call:
        polling = _Polling(engine, call)
        last: JobResult | FieldingError | None = None
        while True:
            at_least = 0.0
            call.time.queue_until = None if queue is None else engine.loop.time() + queue
            try:
                response = await _poll(engine, query, call)
            except DeadlineExceededError as error:
                raise _too_late(last or error) from error
            except FieldingError as error:
                if not polling.goes_on_after(error):
                    raise
                call.trace.polling_on(public_name(error))
                last = error
            else:
                result: JobResult = _result(engine, query, call, response)
                last = result
                if on_poll is not None and inspect.isawaitable(returned := on_poll(result)):
                    await returned
                if result.status == "Failed":
                    raise JobFailedError(f"job {job_id} failed{_because(result)}", result=result)
                if result.ended:
                    return result
                at_least = reply_delay(response, datetime.now(UTC))
            await polling.wait(at_least, last)


async def _poll(engine: Engine, query: JobQuery, call: Call) -> Response:
    end = await engine.sender.send(engine.sender.prepare(call, request(query.row, query.ids)))
    if end.accepted is None:
        raise end.error
    return end.accepted


def _result(engine: Engine, query: JobQuery, call: Call, response: Response) -> Any:
    asked = request(query.row, query.ids)
    result = decoded(asked, response, lambda body: query.decode(body, call.left_out))
    if result.ended:
        _forget(engine, query.touches)
    return result


class _Polling:
    """When to poll next, and after which failures of a poll to go on."""

    def __init__(self, engine: Engine, call: Call) -> None:
        self._engine = engine
        self._waits: Iterator[float] = poll_waits(engine.uniform)
        self._call = call
        self._started = engine.loop.time()

    def goes_on_after(self, error: FieldingError) -> bool:
        """Whether polling goes on after this failure."""
        if isinstance(error, NotFoundError):
            return self._engine.loop.time() - self._started < _VISIBLE_WITHIN
        return isinstance(error, TransportError | ServerError) and not self._engine.sender.closing

    async def wait(self, at_least: float, last: JobResult | FieldingError) -> None:
        """Wait until the next poll; raises `DeadlineExceededError` when that is beyond the deadline."""
        if not await self._engine.sender.sleep(max(next(self._waits), at_least), self._call.time.deadline):
            raise _too_late(last)


def _too_late(last: JobResult | FieldingError) -> DeadlineExceededError:
    if isinstance(last, JobResult):
        return DeadlineExceededError(
            f"time ran out: job {last.job_id} is still {last.status}; the exchange continues it"
        )
    return DeadlineExceededError(f"time ran out; the last poll failed: {last.message}")


def _because(result: JobResult) -> str:
    failure = result.failure if isinstance(result, DraftResult) else None
    return "" if failure is None else f": {failure.code}: {failure.description}"

"""One call of a run action: its turn on the run, its writes, and what follows conflicts and lost replies."""

import asyncio
from collections.abc import Iterator
from typing import assert_never

from attrs import Factory, define, field

from fielding_async.core.actions import Action, Change, Update
from fielding_async.core.conflict.attempts import RequestEnd, outcome_unknown, refusal
from fielding_async.core.conflict.judgement import (
    Fail,
    FetchAgain,
    Finish,
    Refuse,
    Send,
    Situation,
    Unknown,
    Verdict,
    Why,
    judge,
    why_fetched,
)
from fielding_async.core.conflict.run_memory import RunMemory
from fielding_async.core.conflict.write_log import WriteLog
from fielding_async.core.conflict.write_record import WriteRecord
from fielding_async.core.errors import (
    DeadlineExceededError,
    FieldingError,
    InvalidRunStateError,
    OutcomeUnknownError,
    PreconditionFailedError,
    ProtocolError,
)
from fielding_async.core.models import FieldingRun, OnConflict, Outcome, RunRef
from fielding_async.core.wire.bodies import decode_run
from fielding_async.core.wire.replies import Answer, read_etag
from fielding_async.core.wire.requests import run_request

from .backoff_waits import conflict_waits
from .call import Call
from .engine import Engine, TimeoutArg
from .pending_request import PendingRequest
from .sender import RequestSender

__all__ = ["RunAction", "fetch_run"]


async def fetch_run(
    sender: RequestSender, memory: RunMemory, call: Call, ref: RunRef, *, settling: bool
) -> FieldingRun:
    """GET a run, and remember it unless something newer has become known by then. Raises the errors of a read."""
    fetch = memory.fetch_started(ref)
    found: FieldingRun | None = None
    try:
        end = await sender.send(sender.prepare(call, run_request(ref), settling=settling))
        if end.accepted is None:
            raise end.error
        run = found = decode_run(end.accepted.body, read_etag(end.accepted), ref)
    finally:
        memory.fetch_ended(fetch, found)
    return run


@define(eq=False)
class RunAction:
    """One call of a run action. All arguments have been checked.

    `order`: what the caller wants, an action or a callable change. `seen`, `on_conflict`, `timeout`: as for
    `Run.perform`. `log`: records each step, for a batch with a journal.
    """

    engine: Engine
    ref: RunRef
    order: Action | Change
    seen: FieldingRun | None
    on_conflict: OnConflict
    timeout: TimeoutArg
    log: WriteLog | None = None
    _call: Call = field(init=False)
    _writes: WriteRecord = field(
        init=False, default=Factory(lambda self: WriteRecord(self.engine.memory, self.ref, self.log), takes_self=True)
    )
    _pending: PendingRequest | None = field(init=False, default=None)
    _waits: Iterator[float] | None = field(init=False, default=None)
    _last_conflict: PreconditionFailedError | None = field(init=False, default=None)

    async def run(self) -> Outcome:
        """Take the turn on the run, act, and pass the turn on; that of a cancelled call when its write has ended.

        Returns and raises what `Run.perform` does.
        """
        engine, ref, writes = self.engine, self.ref, self._writes
        name = Update.name if callable(self.order) else self.order.name
        with engine.call(name, self.timeout, ref=ref) as call:
            self._call = call
            if not engine.turns.take_now(ref):
                await self._wait_for_turn()
            outlived = False
            try:
                verdict: Verdict | None
                if self.log is not None and self.log.resumed is not None:
                    verdict = writes.resume(*self.log.resumed)
                else:
                    base = self.seen or engine.memory.get(ref)
                    if call.trace.is_observed and self.seen is None:
                        call.trace.looked_up(found=base is not None)
                    verdict = writes.under(base, self.order) if base is not None else None
                if verdict is None:
                    verdict = await self._open()
                while isinstance(verdict, Send):
                    recorded = writes.intend(verdict.action)
                    if recorded is not None:
                        await recorded
                    pending = self._pending = engine.sender.prepare(call, writes.start(verdict.action))
                    end = await engine.sender.send(pending)
                    writes.end(end)
                    if end.accepted is not None:
                        verdict = Finish("accepted", verdict.action)
                        break
                    verdict = await self._settle(end)
                assert isinstance(verdict, Finish)  # noqa: S101 - the opening GET leads to nothing else
                run = writes.fresh
                assert run is not None  # noqa: S101 - no call succeeds without a GET or a reply
                call.trace.effect = verdict.effect
                return Outcome(
                    ref=ref,
                    action=verdict.action,
                    effect=verdict.effect,
                    etag=run.etag,
                    requests=call.requests,
                    conflicts=call.conflicts,
                    trace_id=call.trace.trace_id,
                    start_fielding_at=run.start_fielding_at,
                    end_fielding_at=run.end_fielding_at,
                )
            except asyncio.CancelledError as cancelled:
                outlived = self._cancelled(cancelled)
                raise
            finally:
                if not outlived:
                    if writes.may_be_applied:
                        writes.leave_doubt()
                    engine.turns.pass_on(ref)

    async def _wait_for_turn(self) -> None:
        loop = self.engine.loop
        started = loop.time()
        try:
            await self.engine.turns.take(self.ref, self._call.time.deadline)
        except TimeoutError:
            problem = DeadlineExceededError(
                "time ran out while waiting for its turn: earlier actions on this run were under way"
            )
            raise problem from None
        finally:
            self._call.trace.waited("turn", loop.time() - started)

    async def _open(self) -> Verdict:
        """Fetch the run before anything is sent, and judge it."""
        while True:
            fresh = await self._fetch(settling=False)
            verdict = judge(self._situation(Why.OPENING, fresh))
            if not isinstance(verdict, FetchAgain):
                self._writes.fresh = fresh
            if isinstance(verdict, Refuse):
                problem = FieldingError("the run is no longer as seen", method="GET", path=run_request(self.ref).path)
                raise self._refused(problem, verdict.wanted)
            if not isinstance(verdict, FetchAgain):
                return verdict
            wait = self._next_wait()
            if not await self.engine.sender.sleep(wait, self._call.time.deadline):
                raise DeadlineExceededError("time ran out; reads of the run lag behind what was written to it")
            self._call.trace.waited("conflict", wait)

    def _next_wait(self) -> float:
        if self._waits is None:
            self._waits = conflict_waits(self.engine.sender.retry, self.engine.sender.uniform)
        return next(self._waits)

    # -- after a write that was not accepted

    async def _settle(self, end: RequestEnd) -> Send | Finish:
        """Fetch the run and judge it, until there is a verdict. Raises the error of the call, if it is no success."""
        failure = end.failure
        assert failure is not None  # noqa: S101 - the write was not accepted
        why = why_fetched(end)
        if isinstance(failure, PreconditionFailedError):
            self._call.conflicts += 1
            self._last_conflict = failure
            self._call.trace.conflict(self.ref.fielding_run_id, self._call.conflicts)
        if why in {Why.BAD_REQUEST, Why.REFUSED, Why.EXHAUSTED} and not self._writes.may_be_applied:
            raise self._not_applied(failure)
        wait = self._next_wait() if why is Why.CONFLICT else 0.0
        while True:
            try:
                if not await self.engine.sender.sleep(wait, self._call.time.deadline):
                    raise DeadlineExceededError("time ran out")
                if wait:
                    self._call.trace.waited("conflict", wait)
                fresh = await self._fetch(settling=True)
            except FieldingError as error:
                problem = self._not_fetched(failure, error, end)
                raise problem from (error if problem is failure else failure)
            verdict = judge(self._situation(why, fresh, end))
            if not isinstance(verdict, FetchAgain):
                self._writes.fresh = fresh  # a stale run says nothing of what may still be applied
                if isinstance(verdict, Send):
                    self._writes.disprove()
                    return verdict
                return self._decided(verdict, failure, end)
            wait = self._next_wait()

    def _decided(self, verdict: Finish | Refuse | Fail | Unknown, failure: FieldingError, end: RequestEnd) -> Finish:
        writes = self._writes
        match verdict:
            case Finish():
                return verdict
            case Refuse(wanted):
                writes.disprove()
                raise self._refused(failure, wanted)
            case Fail():
                if writes.resumed:
                    writes.disprove()  # the refusal is final, so its earlier copy was refused as well
                if isinstance(failure, InvalidRunStateError):
                    failure.current = writes.fresh
                    if writes.sent is not None and writes.fresh is not None and writes.sent.is_there(writes.fresh):
                        failure.message += (
                            " (the run is there, but an earlier write of this session may still be applied)"
                        )
                    raise failure
                raise end.attempts.server_error or failure
            case Unknown(reason):
                raise self._unknown(reason, failure, writes.fresh, out_of_time=end.out_of_time) from failure
            case _:
                assert_never(verdict)

    async def _fetch(self, *, settling: bool) -> FieldingRun:
        run = await fetch_run(self.engine.sender, self.engine.memory, self._call, self.ref, settling=settling)
        if run.etag is None:
            raise ProtocolError(
                "the run came without an ETag header that could be sent back, so nothing can be written safely",
                method="GET",
                path=run_request(self.ref).path,
            )
        return run

    def _situation(self, why: Why, fresh: FieldingRun, end: RequestEnd | None = None) -> Situation:
        writes = self._writes
        return Situation(
            fresh=fresh,
            why=why,
            order=self.order,
            sent=writes.sent,
            base=writes.base,
            may_be_applied=writes.may_be_applied,
            only_server_errors=end is not None and end.attempts.only_server_errors and not writes.resumed,
            resumed=end is not None and writes.resumed and not end.attempts.may_be_applied,
            seen=self.seen,
            on_conflict=self.on_conflict,
            in_doubt=self.engine.memory.in_doubt(self.ref, fresh.etag),
            outdated=self.engine.memory.is_past(self.ref, fresh),
        )

    # -- the errors that a call ends in

    def _not_applied(self, failure: FieldingError) -> FieldingError:
        """Nothing was applied: the failure itself, or the last conflict if time ran out in the rounds after it."""
        if isinstance(failure, DeadlineExceededError) and self._last_conflict is not None:
            return self._refused(self._last_conflict, self._writes.sent)
        return failure

    def _not_fetched(self, failure: FieldingError, error: FieldingError, end: RequestEnd) -> FieldingError:
        """The GET after `failure` failed with `error`, or there was no time for it."""
        out_of_time = isinstance(error, DeadlineExceededError)
        if self._writes.may_be_applied:
            reason = f"the run could not be looked at afterwards ({error.message})"
            return self._unknown(reason, failure, None, out_of_time=out_of_time or end.out_of_time)
        if isinstance(failure, PreconditionFailedError):
            return self._refused(failure, self._writes.sent) if out_of_time else error
        return failure

    def _refused(self, failure: FieldingError, wanted: Action | None) -> PreconditionFailedError:
        fresh, base = self._writes.fresh, self._writes.base
        current = fresh if fresh is not base else None
        return refusal(failure, seen=self.seen or base, wanted=wanted, current=current)

    def _unknown(
        self, reason: str, failure: FieldingError, current: FieldingRun | None, *, out_of_time: bool
    ) -> OutcomeUnknownError:
        what = f"{self._call.name} may or may not have been applied: {reason}"
        return outcome_unknown(what, failure, current, out_of_time=out_of_time)

    # -- cancellation

    def _cancelled(self, cancelled: asyncio.CancelledError) -> bool:
        """Let the caller go. Returns whether a write is still in flight; it passes the turn on when it ends."""
        task, attempts = None, None
        if self._pending is not None:
            task, attempts = self._pending.abandon(), self._pending.end.attempts
        if not self._writes.under_way:
            task = None
        if self._writes.cancel(attempts, in_flight=task is not None):
            self._call.note_doubt(
                cancelled, f"{self._call.name} on {self.ref} was cancelled, and may or may not be applied"
            )
        if task is None:
            return False
        task.add_done_callback(self._write_over)
        return True

    def _write_over(self, task: "asyncio.Task[Answer | None]") -> None:
        assert self._pending is not None  # noqa: S101 - it is its task
        self._pending.report_end(task)
        lost = task.cancelled() or task.exception() is not None
        self._writes.end_after_cancel(None if lost else task.result(), lost=lost)
        if self._writes.may_be_applied:
            self._writes.leave_doubt()
        self.engine.turns.pass_on(self.ref)

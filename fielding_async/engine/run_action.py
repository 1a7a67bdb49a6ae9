"""One call of a run action: its turn on the run, its writes, and what follows conflicts and lost replies."""

import asyncio
from collections.abc import Iterator
from typing import assert_never

from attrs import Factory, define

from fielding_async.core.actions import Action, Change, call_change
from fielding_async.core.conflict.attempts import RequestEnd, outcome_unknown
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
)
from fielding_async.core.conflict.run_memory import RunMemory
from fielding_async.core.conflict.write_log import WriteLog
from fielding_async.core.conflict.write_record import WriteRecord
from fielding_async.core.errors import (
    APIError,
    BadRequestError,
    DeadlineExceededError,
    FieldingError,
    InvalidRunStateError,
    OutcomeUnknownError,
    PreconditionFailedError,
    ProtocolError,
)
from fielding_async.core.models import Effect, FieldingRun, OnConflict, Outcome, RunRef
from fielding_async.core.wire.replies import Answer
from fielding_async.core.wire.requests import run_request

from .backoff_waits import conflict_waits
from .call import Call
from .fetch_run import fetch_run
from .pending_request import PendingRequest
from .run_turns import RunTurns
from .sender import RequestSender

__all__ = ["RunAction"]


@define(eq=False)
class RunAction:
    """The driver of one call of a run action. `order`: what the caller wants, an action or a callable change."""

    sender: RequestSender
    memory: RunMemory
    turns: RunTurns
    call: Call
    ref: RunRef
    order: Action | Change
    seen: FieldingRun | None
    on_conflict: OnConflict
    log: WriteLog | None = None
    _writes: WriteRecord = Factory(lambda self: WriteRecord(self.memory, self.ref, self.log), takes_self=True)
    _pending: PendingRequest | None = None
    _waits: Iterator[float] | None = None
    _last_conflict: PreconditionFailedError | None = None

    async def run(self) -> Outcome:
        """Take the turn on the run, act, and pass the turn on: at once, or when a write of a cancelled call is over."""
        if not self.turns.take_now(self.ref):
            await self._wait_for_turn()
        writes, outlived = self._writes, False
        try:
            verdict = self._from_memory() or await self._open()
            while isinstance(verdict, Send):
                recorded = writes.intend(verdict.action)
                if recorded is not None:
                    await recorded
                pending = self._pending = self.sender.prepare(self.call, writes.start(verdict.action))
                end = await self.sender.send(pending)
                writes.end(end)
                if end.accepted is not None:
                    return self._outcome("accepted", verdict.action)
                verdict = await self._settle(end)
            assert isinstance(verdict, Finish)  # noqa: S101 - the opening GET leads to nothing else
            return self._outcome(verdict.effect, verdict.action)
        except asyncio.CancelledError as cancelled:
            outlived = self._cancelled(cancelled)
            raise
        finally:
            if not outlived:
                self._pass_on()

    async def _wait_for_turn(self) -> None:
        started = self.sender.loop.time()
        try:
            await self.turns.take(self.ref, self.call.time.deadline)
        except TimeoutError:
            problem = DeadlineExceededError("time ran out while earlier actions on this run were under way")
            raise problem from None
        finally:
            self.call.trace.waited("turn", self.sender.loop.time() - started)

    def _pass_on(self) -> None:
        if self._writes.may_be_applied:
            self._writes.leave_doubt()
        self.turns.pass_on(self.ref)

    def _from_memory(self) -> Send | None:
        """Return what to send under an ETag that is known; `None` if the run must be fetched first."""
        if self.log is not None and self.log.resumed is not None:
            sent, _ = self.log.resumed
            self._writes.resume(*self.log.resumed)
            return Send(sent)
        base = self.seen or self.memory.get(self.ref)
        if self.call.trace.is_observed and self.seen is None:
            self.call.trace.looked_up(found=base is not None)
        if base is None:
            return None
        action = call_change(self.order, base) if callable(self.order) else self.order
        if action is None:
            return None  # whether there is nothing to do is not concluded from memory
        self._writes.fresh = base
        return Send(action)

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
            if not await self.sender.sleep(wait, self.call.time.deadline):
                raise DeadlineExceededError("time ran out; reads of the run lag behind what was written to it")
            self.call.trace.waited("conflict", wait)

    def _next_wait(self) -> float:
        if self._waits is None:
            self._waits = conflict_waits(self.sender.retry, self.sender.uniform)
        return next(self._waits)

    def _outcome(self, effect: Effect, action: Action | None) -> Outcome:
        run = self._writes.fresh
        assert run is not None  # noqa: S101 - no call succeeds without a GET or a reply
        return Outcome(
            ref=self.ref,
            action=action,
            effect=effect,
            etag=run.etag,
            requests=self.call.requests,
            conflicts=self.call.conflicts,
            trace_id=self.call.trace.trace_id,
            start_fielding_at=run.start_fielding_at,
            end_fielding_at=run.end_fielding_at,
        )

    # -- after a write that was not accepted

    async def _settle(self, end: RequestEnd) -> Send | Finish:
        """Fetch the run and judge, as often as it takes. Raises what the call ends in, if it is no success."""
        failure = end.error
        why = _why(end)
        if isinstance(failure, PreconditionFailedError):
            self.call.conflicts += 1
            self._last_conflict = failure
            self.call.trace.conflict(self.ref.fielding_run_id, self.call.conflicts)
        if why in {Why.BAD_REQUEST, Why.REFUSED, Why.EXHAUSTED} and not self._writes.may_be_applied:
            raise self._not_applied(failure)
        wait = self._next_wait() if why is Why.CONFLICT else 0.0
        while True:
            try:
                if not await self.sender.sleep(wait, self.call.time.deadline):
                    raise DeadlineExceededError("time ran out")
                self.call.trace.waited("conflict", wait)
                fresh = await self._fetch(settling=True)
            except FieldingError as error:
                problem = self._not_fetched(failure, error, end)
                raise problem from (error if problem is failure else failure)
            verdict = judge(self._situation(why, fresh, end))
            if not isinstance(verdict, FetchAgain):
                self._writes.fresh = fresh  # a stale run says nothing of what may still be applied
                return self._decided(verdict, failure, end)
            wait = self._next_wait()

    def _decided(self, verdict: Verdict, failure: FieldingError, end: RequestEnd) -> Send | Finish:
        writes = self._writes
        match verdict:
            case Send():
                writes.disprove()
                return verdict
            case Finish():
                return verdict
            case Refuse(wanted):
                writes.disprove()
                raise self._refused(failure, wanted)
            case Fail():
                if writes.resumed:
                    writes.disprove()  # it was refused finally, and so was its earlier copy
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
            case FetchAgain():  # pragma: no cover - handled by the caller
                raise AssertionError(verdict)
            case _:
                assert_never(verdict)

    async def _fetch(self, *, settling: bool) -> FieldingRun:
        run = await fetch_run(self.sender, self.memory, self.call, self.ref, settling=settling)
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
            in_doubt=self.memory.in_doubt(self.ref, fresh.etag),
            outdated=self.memory.is_past(self.ref, fresh),
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
        """An action that is refused because the run has changed, with what the server said, if it said anything."""
        fresh, base = self._writes.fresh, self._writes.base
        said = failure if isinstance(failure, APIError) else None
        return PreconditionFailedError(
            failure.message,
            status=412,
            object=said and said.object,
            detail=said and said.detail,
            error_id=said and said.error_id,
            invalid_params=said.invalid_params if said else (),
            seen=self.seen or base,
            wanted=wanted,
            current=fresh if fresh is not base else None,
            method=failure.method,
            path=failure.path,
        )

    def _unknown(
        self, reason: str, failure: FieldingError, current: FieldingRun | None, *, out_of_time: bool
    ) -> OutcomeUnknownError:
        what = f"{self.call.name} may or may not have been applied: {reason}"
        return outcome_unknown(what, failure, current, out_of_time=out_of_time)

    # -- cancellation

    def _cancelled(self, cancelled: asyncio.CancelledError) -> bool:
        """Release the caller. Returns whether a write is still in flight; it passes the turn on when it is over."""
        task, attempts = None, None
        if self._pending is not None:
            task, attempts = self._pending.abandon(), self._pending.end.attempts
        if not self._writes.under_way:
            task = None
        if self._writes.cancel(attempts, in_flight=task is not None):
            self.call.note_doubt(
                cancelled, f"{self.call.name} on {self.ref} was cancelled, and may or may not be applied"
            )
        if task is None:
            return False
        task.add_done_callback(self._write_over)
        return True

    def _write_over(self, task: "asyncio.Task[Answer | None]") -> None:
        lost = task.cancelled() or task.exception() is not None
        self._writes.end_after_cancel(None if lost else task.result(), lost=lost)
        self._pass_on()


def _why(end: RequestEnd) -> Why:
    if end.gave_up:
        return Why.EXHAUSTED
    if isinstance(end.failure, PreconditionFailedError):
        return Why.CONFLICT
    if isinstance(end.failure, InvalidRunStateError):
        return Why.INVALID_STATE
    if isinstance(end.failure, BadRequestError) and end.failure.object is not None:
        return Why.BAD_REQUEST  # of the exchange itself, not of a proxy that could not read the request
    return Why.REFUSED

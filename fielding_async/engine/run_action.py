"""One call of a run action: its turn on the run, its writes, and what follows conflicts and lost replies."""

import asyncio
from math import inf
from typing import assert_never

from attrs import Factory, define, field

from fielding_async.core.actions import Action, Change, Update
from fielding_async.core.config import TimeoutArg
from fielding_async.core.conflict.attempts import RequestEnd
from fielding_async.core.conflict.judgement import STILL_OPEN, Situation, Why, judge, why_fetched
from fielding_async.core.conflict.verdicts import (
    Fail,
    FetchAgain,
    Finish,
    Judged,
    Refuse,
    Send,
    SendAgain,
    Unknown,
    Unreadable,
    Verdict,
)
from fielding_async.core.conflict.write_log import WriteLog
from fielding_async.core.conflict.write_record import WriteRecord
from fielding_async.core.errors import (
    DeadlineExceededError,
    FieldingError,
    PreconditionFailedError,
    SessionClosedError,
)
from fielding_async.core.models import FieldingRun, OnConflict, Outcome, RunRef
from fielding_async.core.wire.replies import Answer
from fielding_async.core.wire.requests import run_request

from .backoff_waits import ActionWaits
from .call import Call, OutOfTimeError, PendingRequest
from .engine import Engine
from .run_errors import RunErrors
from .run_fetch import FetchedRun, fetch_run

__all__ = ["RunAction"]
_PATIENCE = 5.0  # seconds from the first reply, for which a GET is repeated while it is stale


@define(eq=False)
class RunAction:
    """One call of a run action. All arguments have been checked.

    `order`: an action or a callable change. `seen`, `on_conflict`, `timeout`: as for `Run.perform`. `log`: records each
    step, for a batch with a journal. `is_background`: it is a row of a batch. `if_match`: the only ETag to send under.
    """

    engine: Engine
    ref: RunRef
    order: Action | Change
    seen: FieldingRun | None
    on_conflict: OnConflict
    timeout: TimeoutArg
    log: WriteLog | None = None
    is_background: bool = False
    if_match: str | None = None
    _call: Call = field(init=False)
    _writes: WriteRecord = field(
        init=False, default=Factory(lambda self: WriteRecord(self.engine.memory, self.ref, self.log), takes_self=True)
    )
    _pending: PendingRequest | None = field(init=False, default=None)
    _made_waits: ActionWaits | None = field(init=False, default=None)
    _made_errors: RunErrors | None = field(init=False, default=None)

    async def run(self) -> Outcome:
        """Take the turn on the run, act, and pass the turn on; that of a cancelled call when its write has ended.

        Returns and raises what `Run.perform` does.
        """
        engine, ref, writes = self.engine, self.ref, self._writes
        name = Update.name if callable(self.order) else self.order.name
        with engine.call(name, self.timeout, ref=ref, is_background=self.is_background) as call:
            self._call = call
            if not engine.turns.take_now(ref, call):
                await self._wait_for_turn()
            outlived = False
            try:
                verdict: Verdict | None
                if self.log is not None and self.log.resumed is not None:
                    verdict = writes.resume(*self.log.resumed)
                else:
                    base = self.seen or engine.memory.get(ref)
                    if base is not None and self.if_match not in {None, base.etag}:
                        base = None
                    if call.trace.is_observed and self.seen is None:
                        call.trace.looked_up(found=base is not None)
                    verdict = writes.under(base, self.order) if base is not None else None
                if verdict is None:
                    verdict = await self._open()
                while isinstance(verdict, Send):
                    attempts = verdict.attempts
                    if attempts is None and (recorded := writes.intend(verdict.action)) is not None:
                        await recorded
                    request = writes.start(verdict.action)
                    pending = self._pending = engine.sender.prepare(call, request, attempts=attempts)
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
                    run=run,
                )
            except asyncio.CancelledError as cancelled:
                outlived = self._cancelled(cancelled)
                raise
            finally:
                if not outlived:
                    if writes.may_be_applied:
                        writes.leave_doubt()
                    engine.turns.pass_on(ref)

    @property
    def _errors(self) -> RunErrors:
        if self._made_errors is None:
            self._made_errors = RunErrors(self._call, self._writes, self.seen)
        return self._made_errors

    @property
    def _waits(self) -> ActionWaits:
        if self._made_waits is None:
            self._made_waits = ActionWaits(self.engine.sender.retry, self.engine.sender.uniform)
        return self._made_waits

    async def _wait_for_turn(self) -> None:
        loop = self.engine.loop
        started = loop.time()
        try:
            await self.engine.turns.take(self.ref, self._call)
        except OutOfTimeError as out:
            raise out.error(None, None, None) from None
        finally:
            self._call.trace.waited("turn", loop.time() - started)

    async def _open(self) -> Verdict:
        """Fetch the run before anything is sent, and judge it."""
        patient_until: float | None = None
        while True:
            fetched = await self._fetch(settling=False)
            now = self.engine.loop.time()
            # half of the time, as what is stale may still carry a write
            patient_until = patient_until or now + min(_PATIENCE, ((self._call.time.deadline or inf) - now) / 2)
            verdict = judge(self._situation(Why.OPENING, fetched, may_fetch_again=now < patient_until))
            if not isinstance(verdict, FetchAgain):
                self._writes.fresh = fetched.run
            match verdict:
                case Send() | Finish():
                    return verdict
                case FetchAgain():
                    wait = min(next(self._waits.stale), patient_until - now)
                    if not await self.engine.sender.sleep(wait, self._call.time.deadline):
                        raise DeadlineExceededError("time ran out while a cache answered, or GETs were out of date")
                    self._call.trace.waited("conflict", wait)
                case Unreadable():
                    raise self._errors.unreadable()
                case _:
                    other = f"has another ETag than {self.if_match}" if self.if_match else "is no longer as seen"
                    problem = FieldingError(f"the run {other}", method="GET", path=run_request(self.ref).path)
                    raise self._errors.refused(problem, getattr(verdict, "wanted", None))

    # -- after a write that was not accepted

    async def _settle(self, end: RequestEnd) -> Send | Finish:
        """Fetch the run and judge it, until there is a verdict. Raises the error of the call, if it is no success."""
        failure = end.failure
        assert failure is not None  # noqa: S101 - the write was not accepted
        why = why_fetched(end)
        if isinstance(failure, PreconditionFailedError):
            self._errors.last_conflict = failure
            if not self._writes.may_be_applied:  # otherwise it may be the answer to our own lost write
                self._count_conflict()
        if why in {Why.BAD_REQUEST, Why.REFUSED, Why.EXHAUSTED} and not self._writes.may_be_applied:
            raise self._errors.not_applied(failure)
        patient_until: float | None = None
        time, rounds, deadline = self.engine.loop.time, self._waits.rounds, self._call.time.deadline or inf
        wait = rounds.after_conflict(time(), deadline) if why is Why.CONFLICT else 0.0
        while True:
            try:
                if not await self.engine.sender.sleep(wait, self._call.time.deadline):
                    raise DeadlineExceededError("time ran out")
                if wait:
                    self._call.trace.waited("conflict", wait)
                began = time()
                fetched = await self._fetch(settling=self._writes.may_be_applied)
            except FieldingError as error:
                problem = self._errors.not_fetched(failure, error, end)
                raise problem from (error if problem is failure else failure)
            now = time()
            rounds.fetched(fetched.run.version, began, now)
            patient_until = patient_until or now + _PATIENCE
            situation = self._situation(why, fetched, end, may_fetch_again=now < patient_until)
            verdict = judge(situation)
            if not isinstance(verdict, FetchAgain):
                if isinstance(verdict, Send) or not (situation.is_stale or situation.is_refused_etag):
                    self._writes.fresh = fetched.run  # a stale run says nothing of what may still be applied
                return await self._decided(verdict, failure, end)
            self._errors.shows_refused_etag, self._errors.is_stale = situation.is_refused_etag, situation.is_stale
            wait = min(next(self._waits.stale), patient_until - now)

    def _count_conflict(self) -> None:
        self._call.conflicts += 1
        self._call.trace.conflict(self.ref.fielding_run_id, self._call.conflicts)

    async def _decided(self, verdict: Judged, failure: FieldingError, end: RequestEnd) -> Send | Finish:
        writes = self._writes
        match verdict:
            case Finish(effect):
                if effect == "accepted":
                    writes.accept_as_fetched()
                return verdict
            case Send():
                self._disprove(failure)
                return verdict
            case SendAgain(action):
                await self._back_off(failure, end)
                return Send(action, end.attempts)
            case Refuse() | Fail() | Unknown() | Unreadable():
                if isinstance(verdict, Refuse) or (isinstance(verdict, Fail) and writes.resumed):
                    self._disprove(failure)  # a resumed write that failed was refused for what no time changes
                raise self._errors.of(verdict, failure, end)
            case _:
                assert_never(verdict)

    def _disprove(self, failure: FieldingError) -> None:
        """Nothing sent so far was applied, so a 412 after a lost reply was a conflict."""
        if self._writes.may_be_applied and isinstance(failure, PreconditionFailedError):
            self._count_conflict()
        self._writes.disprove()

    async def _back_off(self, failure: FieldingError, end: RequestEnd) -> None:
        """Wait before a write is sent again under the same ETag."""
        sender = self.engine.sender
        wait = next(self._waits.backoffs)
        try:
            if await sender.sleep(wait, self._call.time.deadline):
                self._call.trace.waited("backoff", wait)
                return
            out_of_time = True
        except SessionClosedError:
            out_of_time = end.out_of_time
        raise self._errors.unknown(STILL_OPEN, failure, self._writes.fresh, out_of_time=out_of_time)

    async def _fetch(self, *, settling: bool) -> FetchedRun:
        fetched = await fetch_run(self.engine.sender, self.engine.memory, self._call, self.ref, settling=settling)
        if fetched.run.etag is None:
            raise self._errors.no_etag()
        return fetched

    def _situation(
        self, why: Why, fetched: FetchedRun, end: RequestEnd | None = None, *, may_fetch_again: bool
    ) -> Situation:
        writes, fresh = self._writes, fetched.run
        return Situation(
            fresh=fresh,
            why=why,
            order=self.order,
            sent=writes.sent,
            base=writes.base,
            may_be_applied=writes.may_be_applied,
            first=writes.first,
            only_server_errors=end is not None and end.attempts.only_server_errors and not writes.resumed,
            only_pages=end is not None and end.attempts.only_pages and not writes.resumed,
            resumed=end is not None and writes.resumed and not end.attempts.may_be_applied,
            unclear=None if end is None else end.unclear,
            attempts_left=end is not None and end.attempts.used < end.attempts.allowed,
            seen=self.seen,
            if_match=self.if_match,
            on_conflict=self.on_conflict,
            in_doubt=self.engine.memory.in_doubt(self.ref, fresh.etag),
            is_stale=fetched.is_aged or self.engine.memory.is_past(self.ref, fresh),
            may_fetch_again=may_fetch_again,
        )

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

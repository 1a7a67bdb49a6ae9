"""One call of a run action: turn, write under an ETag, and after a conflict or a lost reply look, judge, act."""

import asyncio
from collections.abc import Iterator
from typing import assert_never

from fielding_async.core.actions import Action, Change, ask
from fielding_async.core.conflict.judgement import (
    Fail,
    Finish,
    LookAgain,
    Refuse,
    Send,
    Situation,
    Unknown,
    Verdict,
    Why,
    judge,
)
from fielding_async.core.conflict.run_memory import RunStore
from fielding_async.core.conflict.write_log import Ledger
from fielding_async.core.conflict.write_record import RunWrites
from fielding_async.core.errors import (
    BadRequestError,
    DeadlineExceededError,
    FieldingError,
    InvalidRunStateError,
    OutcomeUnknownError,
    PreconditionFailedError,
    ProtocolError,
)
from fielding_async.core.models import Effect, FieldingRun, OnConflict, Outcome, RunRef
from fielding_async.core.wire.bodies import decode_run
from fielding_async.core.wire.replies import Answer, read_etag, run_request

from .backoff_waits import conflict_waits
from .call import Call, Ended
from .endings import refusal, unknown
from .exchange import Exchanger
from .run_turns import Turns

__all__ = ["RunAction", "look_at"]


async def look_at(exchanger: Exchanger, store: RunStore, call: Call, ref: RunRef, *, settling: bool) -> FieldingRun:
    """GET a run, and remember it unless something newer is known by then. Raises what the GET failed with."""
    look = store.begin_look(ref)
    found: FieldingRun | None = None
    try:
        ended = await exchanger.exchange(call, run_request(ref), settling=settling)
        if ended.accepted is None:
            raise ended.error
        run = found = decode_run(ended.accepted.body, read_etag(ended.accepted), ref)
    finally:
        store.end_look(look, found)
    return run


class RunAction:
    """The state of one call of a run action, and its driver."""

    def __init__(
        self,
        exchanger: Exchanger,
        store: RunStore,
        turns: Turns,
        call: Call,
        ref: RunRef,
        order: Action | Change,
        *,
        seen: FieldingRun | None,
        on_conflict: OnConflict,
        ledger: Ledger | None = None,
    ) -> None:
        self._exchanger = exchanger
        self._store = store
        self._turns = turns
        self._call = call
        self._ref = ref
        self._order = order
        self._seen = seen
        self._on_conflict: OnConflict = on_conflict
        self._waits: Iterator[float] | None = None
        self._writes = RunWrites(store, ref, ledger)
        self._last_conflict: PreconditionFailedError | None = None
        self._ledger = ledger

    async def run(self) -> Outcome:
        """Take the turn, act, pass the turn on: at once, or when an exchange that outlives its caller is over."""
        if not self._turns.take_now(self._ref):
            began = self._exchanger.loop.time()
            try:
                await self._turns.take(self._ref, self._call.deadline)
            except TimeoutError:
                problem = DeadlineExceededError("time ran out while earlier actions on this run were under way")
                raise problem from None
            finally:
                self._call.trace.waited("turn", self._exchanger.loop.time() - began)
        writes, outlived = self._writes, False
        try:
            verdict = self._from_memory() or await self._open()
            while isinstance(verdict, Send):
                durable = writes.intend(verdict.action)
                if durable is not None:
                    await durable
                request = writes.begin(verdict.action)
                ended = await self._exchanger.exchange(self._call, request)
                writes.end(ended)
                if ended.accepted is not None:
                    return self._outcome("accepted", verdict.action)
                verdict = await self._settle(ended)
            assert isinstance(verdict, Finish)  # noqa: S101 - an opening look leads to nothing else
            return self._outcome(verdict.effect, verdict.action)
        except asyncio.CancelledError as cancelled:
            outlived = self._cancelled(cancelled)
            raise
        finally:
            if not outlived:
                self._leave()

    def _leave(self) -> None:
        self._writes.leave()
        self._turns.pass_on(self._ref)

    def _from_memory(self) -> Send | None:
        """Return what to send under an ETag that is known; `None` if the run must be looked at first."""
        if self._ledger is not None and self._ledger.resumed is not None:
            sent, _ = self._ledger.resumed
            self._writes.take_up(*self._ledger.resumed)
            return Send(sent)
        base = self._seen or self._store.get(self._ref)
        if self._call.trace.is_told and self._seen is None:
            self._call.trace.looked_up(found=base is not None)
        if base is None:
            return None
        action = ask(self._order, base) if callable(self._order) else self._order
        if action is None:
            return None  # "nothing to do" is not said of a run from memory either
        self._writes.fresh = base
        return Send(action)

    async def _open(self) -> Verdict:
        """Look at the run before anything is sent, and judge it."""
        while True:
            fresh = await self._look(settling=False)
            verdict = judge(self._situation(Why.OPENING, fresh))
            if not isinstance(verdict, LookAgain):
                self._writes.fresh = fresh
            if isinstance(verdict, Refuse):
                problem = FieldingError("the run is no longer as seen", method="GET", path=run_request(self._ref).path)
                raise self._refused(problem, verdict.wanted)
            if not isinstance(verdict, LookAgain):
                return verdict
            wait = self._next_wait()
            if not await self._exchanger.sleep(wait, self._call.deadline):
                raise DeadlineExceededError("time ran out; reads of the run lag behind what was written to it")
            self._call.trace.waited("conflict", wait)

    def _next_wait(self) -> float:
        if self._waits is None:
            self._waits = conflict_waits(self._exchanger.retry, self._exchanger.uniform)
        return next(self._waits)

    def _outcome(self, effect: Effect, action: Action | None) -> Outcome:
        run = self._writes.fresh
        assert run is not None  # noqa: S101 - no call ends well without a look or a reply
        return Outcome(
            ref=self._ref,
            action=action,
            effect=effect,
            etag=run.etag,
            requests=self._call.requests,
            conflicts=self._call.conflicts,
            trace_id=self._call.trace.trace_id,
            start_fielding_at=run.start_fielding_at,
            end_fielding_at=run.end_fielding_at,
        )

    # -- judging

    async def _settle(self, ended: Ended) -> Send | Finish:
        """Look at the run and judge, as often as it takes. Raises what the call ends in, if it is no success."""
        failure = ended.error
        why = _why(ended)
        if isinstance(failure, PreconditionFailedError):
            self._call.conflicts += 1
            self._last_conflict = failure
            self._call.trace.conflict(self._ref.fielding_run_id, self._call.conflicts)
        if why in {Why.BAD_REQUEST, Why.REFUSED, Why.EXHAUSTED} and not self._writes.may_be_applied:
            raise self._plain(failure)
        wait = self._next_wait() if why is Why.CONFLICT else 0.0
        while True:
            try:
                if not await self._exchanger.sleep(wait, self._call.deadline):
                    raise DeadlineExceededError("time ran out")
                self._call.trace.waited("conflict", wait)
                fresh = await self._look(settling=True)
            except FieldingError as error:
                problem = self._not_looked_at(failure, error, ended)
                raise problem from (error if problem is failure else failure)
            verdict = judge(self._situation(why, fresh, ended))
            if not isinstance(verdict, LookAgain):
                self._writes.fresh = fresh  # a stale look is forgotten: it says nothing of what may still land
                return self._decided(verdict, failure, ended)
            wait = self._next_wait()

    def _decided(self, verdict: Verdict, failure: FieldingError, ended: Ended) -> Send | Finish:
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
                    writes.disprove()  # refused for good, and so was its earlier copy
                if isinstance(failure, InvalidRunStateError):
                    failure.current = writes.fresh
                    if writes.sent is not None and writes.fresh is not None and writes.sent.is_there(writes.fresh):
                        failure.message += (
                            " (the run is there, but an earlier write of this session may still be applied)"
                        )
                    raise failure
                raise ended.attempts.server_error or failure
            case Unknown(reason):
                raise self._unknown(reason, failure, writes.fresh, out_of_time=ended.out_of_time) from failure
            case LookAgain():  # pragma: no cover - looked again before
                raise AssertionError(verdict)
            case _:
                assert_never(verdict)

    async def _look(self, *, settling: bool) -> FieldingRun:
        run = await look_at(self._exchanger, self._store, self._call, self._ref, settling=settling)
        if run.etag is None:
            raise ProtocolError(
                "the run came without an ETag header that could be sent back, so nothing can be written safely",
                method="GET",
                path=run_request(self._ref).path,
            )
        return run

    def _situation(self, why: Why, fresh: FieldingRun, ended: Ended | None = None) -> Situation:
        writes = self._writes
        return Situation(
            fresh=fresh,
            why=why,
            order=self._order,
            sent=writes.sent,
            base=writes.base,
            may_be_applied=writes.may_be_applied,
            only_server_errors=ended is not None and ended.attempts.only_server_errors and not writes.resumed,
            resumed=ended is not None and writes.resumed and not ended.attempts.may_be_applied,
            seen=self._seen,
            on_conflict=self._on_conflict,
            in_doubt=self._store.in_doubt(self._ref, fresh.etag),
            outdated=self._store.is_past(self._ref, fresh),
        )

    # -- the errors a call ends in

    def _plain(self, failure: FieldingError) -> FieldingError:
        """Nothing was applied: the failure itself, or the last conflict if time ran out in the rounds after it."""
        if isinstance(failure, DeadlineExceededError) and self._last_conflict is not None:
            return self._refused(self._last_conflict, self._writes.sent)
        return failure

    def _not_looked_at(self, failure: FieldingError, error: FieldingError, ended: Ended) -> FieldingError:
        """The look failed with `error`, or there was no time for it."""
        out_of_time = isinstance(error, DeadlineExceededError)
        if self._writes.may_be_applied:
            reason = f"the run could not be looked at afterwards ({error.message})"
            return self._unknown(reason, failure, None, out_of_time=out_of_time or ended.out_of_time)
        if isinstance(failure, PreconditionFailedError):
            return self._refused(failure, self._writes.sent) if out_of_time else error
        return failure

    def _refused(self, failure: FieldingError, wanted: Action | None) -> PreconditionFailedError:
        fresh, base = self._writes.fresh, self._writes.base
        return refusal(failure, seen=self._seen or base, wanted=wanted, current=fresh if fresh is not base else None)

    def _unknown(
        self, reason: str, failure: FieldingError, current: FieldingRun | None, *, out_of_time: bool
    ) -> OutcomeUnknownError:
        return unknown(f"{self._call.name} may or may not have been applied: {reason}", failure, current, out_of_time)

    # -- cancellation

    def _cancelled(self, cancelled: asyncio.CancelledError) -> bool:
        """Free the caller. Return whether a write is still in flight, which passes the turn on when it is over."""
        call = self._call
        call.abandoned = True
        task = call.in_flight if self._writes.under_way else None
        if self._writes.cut_off(call.attempts, in_flight=task is not None):
            call.tell_doubt(cancelled, f"{call.name} on {self._ref} was cancelled, and may or may not be applied")
        if task is None:
            return False
        task.add_done_callback(self._over)
        return True

    def _over(self, task: "asyncio.Task[Answer | None]") -> None:
        lost = task.cancelled() or task.exception() is not None
        self._writes.end_late(None if lost else task.result(), lost=lost)
        self._leave()


def _why(ended: Ended) -> Why:
    if ended.gave_up:
        return Why.EXHAUSTED
    if isinstance(ended.failure, PreconditionFailedError):
        return Why.CONFLICT
    if isinstance(ended.failure, InvalidRunStateError):
        return Why.INVALID_STATE
    if isinstance(ended.failure, BadRequestError) and ended.failure.object is not None:
        return Why.BAD_REQUEST  # not that of a proxy which could not read the request
    return Why.REFUSED

"""One call of a write: its turn on the resource, its writes, and what follows conflicts and lost replies."""

import asyncio
from math import inf
from typing import Any, assert_never

from attrs import Factory, define, field

from fielding_async.core.config import TimeoutArg
from fielding_async.core.conflict.attempts import RequestEnd, RetryLimit
from fielding_async.core.conflict.etag_memory import Ref
from fielding_async.core.conflict.hinting import goes_by_hints
from fielding_async.core.conflict.judgement import Situation, Why, judge, still_open, why_fetched
from fielding_async.core.conflict.resource import RUNS, Order, Resource, State
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
from fielding_async.core.errors import DeadlineExceededError, FieldingError, PreconditionFailedError, SessionClosedError
from fielding_async.core.models import OnConflict, RunRef
from fielding_async.engine.backoff_waits import ActionWaits
from fielding_async.engine.call import Call, OutOfTimeError, PendingRequest
from fielding_async.engine.engine import Engine
from fielding_async.engine.fetch import BoundedHints, Fetched, fetch

from .cancelled import let_go
from .hinted import drop_hint, is_refused_hint, offer_hint, send_under_hint
from .write_errors import WriteErrors

__all__ = ["WriteCall"]
_PATIENCE = 5.0  # seconds from the first reply, for which a GET is repeated while it is stale


@define(eq=False)
class WriteCall:
    """One call of a run action, or of an update of an assistant (`resource`). All arguments have been checked.

    `order`: what the caller wants. `seen`, `on_conflict`, `timeout`: as for `Run.perform`. `log`: records each step,
    for a batch with a journal. `is_background`: it is a row of a batch, `retry_limit` that of the batch. `if_match`:
    the only ETag to send under.
    """

    engine: Engine
    ref: Ref
    order: Order
    seen: State | None
    on_conflict: OnConflict
    timeout: TimeoutArg
    log: WriteLog | None = None
    is_background: bool = False
    if_match: str | None = None
    retry_limit: RetryLimit | None = None
    resource: Resource = RUNS
    _call: Call = field(init=False)
    _writes: WriteRecord = field(
        init=False,
        default=Factory(
            lambda self: WriteRecord(self.resource, self.engine.memories[self.resource], self.ref, self.log),
            takes_self=True,
        ),
    )
    _pending: PendingRequest | None = field(init=False, default=None)
    _made_waits: ActionWaits | None = field(init=False, default=None)
    _made_errors: WriteErrors | None = field(init=False, default=None)

    async def run(self) -> Any:
        """Take the turn, act, and pass the turn on; that of a cancelled call when its write has ended.

        Returns the outcome of the resource; raises what `Run.perform` does.
        """
        engine, resource, ref, writes = self.engine, self.resource, self.ref, self._writes
        name = resource.update_name if callable(self.order) else getattr(self.order, "name", resource.update_name)
        run = ref if isinstance(ref, RunRef) else None
        ids = None if run is not None else resource.ids(ref)
        with engine.call(name, self.timeout, ref=run, ids=ids, is_background=self.is_background) as call:
            self._call, call.retry_limit = call, self.retry_limit
            if not engine.turns.take_now(ref, call):
                await self._wait_for_turn()
            outlived = False
            try:
                verdict: Verdict | None
                if self.log is not None and self.log.resumed is not None:
                    verdict = writes.resume(*self.log.resumed)
                else:
                    base = self.seen or writes.memory.get(ref)
                    if base is not None and self.if_match not in {None, base.etag}:
                        base = None
                    if call.trace.is_observed and self.seen is None:
                        call.trace.looked_up(found=base is not None)
                    verdict = writes.under(base, self.order) if base is not None else None
                if verdict is None and engine.hints is not None and self._goes_by_hints:
                    verdict = await send_under_hint(engine.hints, writes, self.order, call.time.deadline)
                if verdict is None:
                    verdict = await self._open()
                while isinstance(verdict, Send):
                    attempts = verdict.attempts
                    if attempts is None and (recorded := writes.intend(verdict.intent)) is not None:
                        await recorded
                    request = writes.start(verdict.intent)
                    pending = self._pending = engine.sender.prepare(call, request, attempts=attempts, log=self.log)
                    end = await engine.sender.send(pending)
                    writes.end(end)
                    if engine.hints is not None:
                        drop_hint(engine.hints, writes, end)
                    if end.accepted is not None:
                        verdict = Finish("accepted", verdict.intent)
                        break
                    is_refused = writes.bare is not None and is_refused_hint(writes, end)
                    verdict = await (self._open() if is_refused else self._settle(end))
                assert isinstance(verdict, Finish)  # noqa: S101 - the opening GET leads to nothing else
                state = writes.fresh
                assert state is not None  # noqa: S101 - no call succeeds without a GET or a reply
                call.trace.effect = verdict.effect
                return resource.outcome(
                    ref, verdict.effect, verdict.intent, state, call.requests, call.conflicts, call.trace.trace_id
                )
            except asyncio.CancelledError as cancelled:
                outlived = let_go(engine, call, writes, self._pending, cancelled)
                raise
            finally:
                if not outlived:
                    if writes.may_be_applied:
                        writes.leave_doubt()
                    engine.turns.pass_on(ref)

    @property
    def _errors(self) -> WriteErrors:
        if self._made_errors is None:
            self._made_errors = WriteErrors(self._call, self._writes, self.seen)
        return self._made_errors

    @property
    def _waits(self) -> ActionWaits:
        if self._made_waits is None:
            self._made_waits = ActionWaits(self.engine.sender.retry, self.engine.sender.uniform)
        return self._made_waits

    @property
    def _goes_by_hints(self) -> bool:
        return self.resource is RUNS and goes_by_hints(
            self.order, seen=self.seen, if_match=self.if_match, on_conflict=self.on_conflict, log=self.log
        )

    def _offer(self, hints: BoundedHints, fetched: Fetched, verdict: Verdict) -> None:
        if self.resource is RUNS:
            offer_hint(hints, self._writes, fetched, verdict)

    async def _wait_for_turn(self) -> None:
        loop, started = self.engine.loop, self.engine.loop.time()
        try:
            await self.engine.turns.take(self.ref, self._call, self.resource.noun)
        except OutOfTimeError as out:
            raise out.error(None, None, None) from None
        finally:
            self._call.trace.waited("turn", loop.time() - started)

    async def _open(self) -> Verdict:
        """Fetch the resource before anything is sent, and judge it."""
        patient_until: float | None = None
        while True:
            fetched = await self._fetch(settling=False)
            now = self.engine.loop.time()
            # half of the time, as what is stale may still carry a write
            patient_until = patient_until or now + min(_PATIENCE, ((self._call.time.deadline or inf) - now) / 2)
            verdict = judge(self._situation(Why.OPENING, fetched, may_fetch_again=now < patient_until))
            if self.engine.hints is not None:
                self._offer(self.engine.hints, fetched, verdict)
            if not isinstance(verdict, FetchAgain):
                self._writes.fresh = fetched.state
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
                    raise self._errors.not_as_wanted(verdict, self.if_match)

    # -- after a write that was not accepted

    async def _settle(self, end: RequestEnd) -> Send | Finish:
        """Fetch the resource and judge it, until there is a verdict. Raises the error of a call that is no success."""
        failure = end.failure
        assert failure is not None  # noqa: S101 - the write was not accepted
        why = why_fetched(end)
        if isinstance(failure, PreconditionFailedError):
            self._errors.last_conflict = failure
            if not self._writes.may_be_applied:  # otherwise it may be the answer to our own lost write
                self._count_conflict()
        if (problem := self._errors.without_fetch(why, failure)) is not None:
            raise problem
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
            rounds.fetched(self.resource.version(fetched.state), began, now)
            patient_until = patient_until or now + _PATIENCE
            situation = self._situation(why, fetched, end, may_fetch_again=now < patient_until)
            verdict = judge(situation)
            if self.engine.hints is not None:
                self._offer(self.engine.hints, fetched, verdict)
            if not isinstance(verdict, FetchAgain):
                if isinstance(verdict, Send) or not (situation.is_stale or situation.is_refused_etag):
                    self._writes.fresh = fetched.state  # a stale one says nothing of what may still be applied
                return await self._decided(verdict, failure, end)
            self._errors.shows_refused_etag, self._errors.is_stale = situation.is_refused_etag, situation.is_stale
            wait = min(next(self._waits.stale), patient_until - now)

    def _count_conflict(self) -> None:
        self._call.conflicts += 1
        self._call.trace.conflict(self.resource.log_values(self.ref), self._call.conflicts)

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
            case SendAgain(intent):
                await self._back_off(failure, end)
                return Send(intent, end.attempts)
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
        raise self._errors.unknown(still_open(self.resource), failure, self._writes.shown, out_of_time=out_of_time)

    async def _fetch(self, *, settling: bool) -> Fetched:
        sender, memory = self.engine.sender, self._writes.memory
        hints = self.engine.hints if self.resource is RUNS else None
        fetched = await fetch(
            *(sender, memory, self.resource, self._call, self.ref), settling=settling, hints=hints, is_offered=False
        )
        if not self.resource.can_be_written(fetched.state):
            raise self._errors.no_etag()
        return fetched

    def _situation(
        self, why: Why, fetched: Fetched, end: RequestEnd | None = None, *, may_fetch_again: bool
    ) -> Situation:
        writes, fresh = self._writes, fetched.state
        return Situation(
            fresh=fresh,
            why=why,
            order=self.order,
            resource=self.resource,
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
            is_hinted=writes.bare is not None and writes.base is writes.bare,
            on_conflict=self.on_conflict,
            in_doubt=writes.memory.in_doubt(self.ref, fresh.etag),
            is_stale=fetched.is_aged or writes.memory.is_past(self.ref, fresh),
            may_fetch_again=may_fetch_again,
        )

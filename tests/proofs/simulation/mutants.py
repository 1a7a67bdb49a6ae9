"""Bugs put in on purpose: each is a mistake that a client of this API could well make.

One at least for each promise about lost replies, conflicts and what a judgement rests on.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest.mock import patch

from attrs import evolve

from fielding_async import (
    BadRequestError,
    DeadlineExceededError,
    FieldingError,
    FieldingRun,
    PermissionDeniedError,
    Relaunch,
    Resume,
    RunRef,
    ServerError,
)
from fielding_async.core.actions import Action, StatusAction, Update
from fielding_async.core.conflict import evidence, judgement
from fielding_async.core.conflict.attempts import RequestEnd
from fielding_async.core.conflict.etag_memory import ETagMemory
from fielding_async.core.conflict.judgement import Situation
from fielding_async.core.conflict.resource import RUNS
from fielding_async.core.conflict.verdicts import Finish, Unknown, Verdict
from fielding_async.core.conflict.write_record import WriteRecord
from fielding_async.core.wire import clean_replies, requests
from fielding_async.core.wire.replies import Accepted, Answer, Attempted, Failed, read, read_etag
from fielding_async.core.wire.requests import Request
from fielding_async.engine import fetch
from fielding_async.engine.sender import RequestSender
from fielding_async.engine.writing import write_call
from fielding_async.engine.writing.write_call import WriteCall
from fielding_async.engine.writing.write_errors import WriteErrors

from .records import CURRENT, CallRecord

__all__ = ["MUTANTS", "Mutant"]

Mutant = Callable[[], Any]


@contextmanager
def fresh_etag_after_a_lost_reply() -> Generator[None]:
    """After a lost reply the run is fetched and, unless it is there, the write is sent under the fresh ETag."""
    original = judgement._judge_lost_attempts

    def settle(situation: Situation) -> Verdict | None:
        verdict = original(situation)
        return None if isinstance(verdict, Unknown) else verdict

    with patch.object(judgement, "_judge_lost_attempts", settle):
        yield


@contextmanager
def old_body_after_a_412() -> Generator[None]:
    """After a 412 the first body is sent again, under the fresh ETag."""
    original = requests.action_request
    first: dict[CallRecord, tuple[Action, FieldingRun]] = {}

    def action_request(ref: RunRef, action: Action, base: FieldingRun) -> Request:
        old_action, old_base = first.setdefault(CURRENT.get(), (action, base))
        return original(ref, old_action, evolve(old_base, etag=base.etag))

    with patch.object(type(RUNS), "write_request", staticmethod(action_request)):
        yield


@contextmanager
def callables_dates_as_proof() -> Generator[None]:
    """After a lost reply of a callable's update, the dates it sent are taken for its own doing."""
    original = judgement._judge_lost_attempts

    def settle(situation: Situation) -> Verdict | None:
        sent = situation.sent
        if sent is not None and situation.resource.is_there(sent, situation.fresh):
            return Finish("unconfirmed", sent)
        return original(situation)

    with patch.object(judgement, "_judge_lost_attempts", settle):
        yield


@contextmanager
def already_while_in_doubt() -> Generator[None]:
    """Nobody remembers that a cancelled or unknown write may still land."""
    with patch.object(ETagMemory, "in_doubt", lambda *_: False):
        yield


@contextmanager
def refusal_after_a_lost_reply() -> Generator[None]:
    """A 400 or 403 that follows a lost reply is raised as itself."""
    original = WriteCall._settle

    async def settle(self: WriteCall, ended: RequestEnd) -> Any:
        if isinstance(ended.failure, BadRequestError | PermissionDeniedError):
            raise ended.failure
        return await original(self, ended)

    with patch.object(WriteCall, "_settle", settle):
        yield


@contextmanager
def slow_get_stores_an_old_etag() -> Generator[None]:
    """What a GET brings is remembered whatever happened since it was sent."""
    with (
        patch.object(ETagMemory, "_outdate_fetches", lambda *_: None),
        patch.object(ETagMemory, "is_past", lambda *_: False),
    ):
        yield


@contextmanager
def slot_held_while_waiting() -> Generator[None]:
    """A backoff keeps its slot."""
    original = RequestSender.sleep

    async def sleep(self: RequestSender, seconds: float, until: float | None) -> bool:
        self.attempts.limiter._free -= 1
        try:
            return await original(self, seconds, until)
        finally:
            self.attempts.limiter._free += 1
            self.attempts.limiter._serve()

    with patch.object(RequestSender, "sleep", sleep):
        yield


# -- what is proven, and what a proof allows


@contextmanager
def any_bound_as_leave_to_send() -> Generator[None]:
    """A write that was not applied is sent again if any of its values is as it was: the other one is reversed."""

    def is_overtaken(wanted: Action, first: FieldingRun, base: FieldingRun, fresh: FieldingRun) -> bool:
        if isinstance(wanted, StatusAction):
            return fresh.status != first.status
        assert isinstance(wanted, Update)
        bounds = zip(wanted.bounds(fresh), wanted.bounds(first), strict=True)
        return not any(has == had for (_, has), (_, had) in bounds)

    with patch.object(type(RUNS), "is_overtaken", staticmethod(is_overtaken)):
        yield


@contextmanager
def proof_as_leave_to_send() -> Generator[None]:
    """A write that was not applied is sent again, whatever somebody else has changed since."""
    with patch.object(type(RUNS), "is_overtaken", staticmethod(lambda *_: False)):
        yield


@contextmanager
def first_attempt_forgotten() -> Generator[None]:
    """Once an attempt is proven not applied, what somebody else changes afterwards is reversed."""
    original = WriteRecord.disprove

    def disprove(self: WriteRecord) -> None:
        original(self)
        self.first = None

    with patch.object(WriteRecord, "disprove", disprove):
        yield


@contextmanager
def resume_proven_not_applied() -> Generator[None]:
    """A resumed or relaunched run that is as it was before is taken for proof that nothing was applied."""
    original = evidence.proves_not_applied

    def proves(sent: Action, base: FieldingRun, fresh: FieldingRun) -> bool:
        if isinstance(sent, Resume | Relaunch):
            return evidence.is_next_version(base, fresh) and fresh.status == base.status
        return original(sent, base, fresh)

    with patch.object(type(RUNS), "proves_not_applied", staticmethod(proves)):
        yield


@contextmanager
def old_etag_as_proof() -> Generator[None]:
    """After lost replies the old ETag is taken for proof that nothing was applied, and nothing will be."""
    original = judgement._judge_lost_attempts

    def settle(situation: Situation) -> Verdict | None:
        return original(evolve(situation, only_server_errors=True))

    with patch.object(judgement, "_judge_lost_attempts", settle):
        yield


# -- whose answer it is


@contextmanager
def _read(mutate: Callable[[Request, Attempted, Answer], Answer]) -> Generator[None]:
    def mutant(asked: Request, attempted: Attempted, now: datetime) -> Answer:
        return mutate(asked, attempted, read(asked, attempted, now))

    with patch.object(clean_replies, "read", mutant):
        yield


def gateways_answer_as_the_exchanges() -> Any:
    """A 504, or a 5xx with a page, is taken for the exchange's own: nothing was applied."""

    def mutate(asked: Request, attempted: Attempted, answer: Answer) -> Answer:
        if isinstance(answer, Failed) and isinstance(answer.error, ServerError):
            return evolve(answer, of_exchange=True)
        return answer

    return _read(mutate)


def page_as_acceptance() -> Any:
    """Any 2xx is an acceptance."""

    def mutate(asked: Request, attempted: Attempted, answer: Answer) -> Answer:
        unclear = answer.unclear if isinstance(answer, Failed) else None
        return answer if unclear is None or asked.operation.name == "launch-now" else Accepted(unclear)

    return _read(mutate)


def success_without_etag_as_acceptance() -> Any:
    """The documented 2xx is an acceptance, with an ETag or without."""

    def mutate(asked: Request, attempted: Attempted, answer: Answer) -> Answer:
        unclear = answer.unclear if isinstance(answer, Failed) else None
        if unclear is None or unclear.status != asked.operation.success or read_etag(unclear) is not None:
            return answer
        return answer if asked.operation.name == "launch-now" else Accepted(unclear)

    return _read(mutate)


# -- what a judgement rests on


@contextmanager
def age_ignored() -> Generator[None]:
    """What a cache answered is taken for the run as it is."""
    with patch.object(fetch, "came_from_a_cache", lambda _: False):
        yield


@contextmanager
def caches_asked() -> Generator[None]:
    """GETs do not say that a cache must not answer."""
    with patch.object(requests, "FRESH", ("Accept", "application/json")):
        yield


@contextmanager
def compressed_replies_asked_for() -> Generator[None]:
    """Requests allow compression, so that ETags are rewritten on the way."""
    with patch.object(requests, "AS_IT_IS", ("Accept-Encoding", "gzip")):
        yield


@contextmanager
def caches_asked_for_ever() -> Generator[None]:
    """A GET that shows an older state is repeated without end."""
    with patch.object(write_call, "_PATIENCE", 1e9):
        yield


# -- conflicts


@contextmanager
def out_of_time_as_refusal() -> Generator[None]:
    """Time that runs out among conflicts ends the call in the refusal of the last attempt."""
    original = WriteErrors._out_of_time

    def out_of_time(self: WriteErrors, conflict: Any) -> FieldingError:
        error: DeadlineExceededError = original(self, conflict)
        return self.refused(conflict, self.writes.sent) if error.conflicts else error

    with patch.object(WriteErrors, "_out_of_time", out_of_time):
        yield


@contextmanager
def own_write_as_conflict() -> Generator[None]:
    """A 412 that may answer the call's own lost write is counted as a conflict."""
    original = WriteCall._settle

    async def settle(self: WriteCall, ended: RequestEnd) -> Any:
        if getattr(ended.failure, "status", 0) == 412 and self._writes.may_be_applied:
            self._count_conflict()
        return await original(self, ended)

    with patch.object(WriteCall, "_settle", settle):
        yield


MUTANTS: dict[str, tuple[Mutant, str]] = {
    mutant.__name__: (mutant, breach)
    for mutant, breach in (
        (fresh_etag_after_a_lost_reply, "(a)"),
        (old_body_after_a_412, "(d)"),
        (callables_dates_as_proof, "(d)"),
        (already_while_in_doubt, "(c)"),
        (refusal_after_a_lost_reply, "(i)"),
        (slow_get_stores_an_old_etag, "(d)"),
        (slot_held_while_waiting, "(f)"),
        (any_bound_as_leave_to_send, "(h)"),
        (proof_as_leave_to_send, "(h)"),
        (first_attempt_forgotten, "(h)"),
        (resume_proven_not_applied, "(c)"),
        (old_etag_as_proof, "(c)"),
        (gateways_answer_as_the_exchanges, "(l)"),
        (page_as_acceptance, "(j)"),
        (success_without_etag_as_acceptance, "(j)"),
        (age_ignored, "(k)"),
        (caches_asked, "(k)"),
        (compressed_replies_asked_for, "(d)"),
        (caches_asked_for_ever, "(o)"),
        (out_of_time_as_refusal, "(m)"),
        (own_write_as_conflict, "(n)"),
    )
}
"""Each bug by name, and the invariant that must catch it."""

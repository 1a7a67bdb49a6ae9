"""Seven bugs, put in on purpose: each is a mistake that a client of this API could well make."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from attrs import evolve

from fielding_async import BadRequestError, FieldingRun, PermissionDeniedError, RunRef
from fielding_async.core.actions import Action
from fielding_async.core.conflict import judgement, write_record
from fielding_async.core.conflict.attempts import RequestEnd
from fielding_async.core.conflict.judgement import Situation
from fielding_async.core.conflict.run_memory import RunMemory
from fielding_async.core.conflict.verdicts import Finish, Unknown, Verdict
from fielding_async.core.wire import requests
from fielding_async.core.wire.requests import Request
from fielding_async.engine.run_action import RunAction
from fielding_async.engine.sender import RequestSender

from .records import CURRENT, CallRecord

__all__ = ["MUTANTS"]

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

    with patch.object(write_record, "action_request", action_request):
        yield


@contextmanager
def callables_dates_as_proof() -> Generator[None]:
    """After a lost reply of a callable's update, the dates it sent are taken for its own doing."""
    original = judgement._judge_lost_attempts

    def settle(situation: Situation) -> Verdict | None:
        sent = situation.sent
        if sent is not None and sent.is_there(situation.fresh):
            return Finish("unconfirmed", sent)
        return original(situation)

    with patch.object(judgement, "_judge_lost_attempts", settle):
        yield


@contextmanager
def already_while_in_doubt() -> Generator[None]:
    """Nobody remembers that a cancelled or unknown write may still land."""
    with patch.object(RunMemory, "in_doubt", lambda *_: False):
        yield


@contextmanager
def refusal_after_a_lost_reply() -> Generator[None]:
    """A 400 or 403 that follows a lost reply is raised as itself."""
    original = RunAction._settle

    async def settle(self: RunAction, ended: RequestEnd) -> Any:
        if isinstance(ended.failure, BadRequestError | PermissionDeniedError):
            raise ended.failure
        return await original(self, ended)

    with patch.object(RunAction, "_settle", settle):
        yield


@contextmanager
def slow_get_stores_an_old_etag() -> Generator[None]:
    """What a GET brings is remembered whatever happened since it was sent."""
    with (
        patch.object(RunMemory, "_outdate_fetches", lambda *_: None),
        patch.object(RunMemory, "is_past", lambda *_: False),
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


MUTANTS: dict[str, tuple[Mutant, str]] = {
    mutant.__name__: (mutant, breach)
    for mutant, breach in (
        (fresh_etag_after_a_lost_reply, "(a)"),
        (old_body_after_a_412, "(d)"),
        (callables_dates_as_proof, "(d)"),
        (already_while_in_doubt, "(c)"),
        (refusal_after_a_lost_reply, "(c)"),
        (slow_get_stores_an_old_etag, "(d)"),
        (slot_held_while_waiting, "(f)"),
    )
}
"""Each bug by name, and the invariant that must catch it."""

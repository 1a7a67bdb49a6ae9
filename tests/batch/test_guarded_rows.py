"""Rows that are sent under one ETag only: what a colleague wrote stands, and a reply that is lost is judged as ever."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fielding_async import (
    Action,
    ConfigurationError,
    Done,
    InvalidRunStateError,
    OutcomeUnknownError,
    Pause,
    PreconditionFailedError,
    Resume,
    RunRef,
    SkippedError,
    Update,
    journal_rows,
    read_journal,
)
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from fielding_async.core.actions import PREVIOUS, Guarded
from fielding_async.sandbox import Cut, Fault, Sandbox, SecondWriter, SetHeader
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk, MemoryStorage
from tests.tools.journal_lives import one_process
from tests.tools.sessions import END, applied, sent, session

UPDATE = Update(end_fielding_at=END)


def etag_of(box: Sandbox, ref: RunRef) -> str:
    etag = box.inspect(ref).etag
    assert etag is not None
    return etag


async def performed(box: Sandbox, *rows: tuple[RunRef, object], **arguments: Any) -> list[Done]:
    """Perform rows, and return them in the order of the input."""
    pairs: Any = rows
    async with session(box) as fielding, fielding.perform_all(pairs, **arguments) as batch:
        return sorted([done async for done in batch], key=lambda done: done.number)


@pytest.mark.parametrize("action", [Pause(), UPDATE])
async def test_a_row_is_sent_under_its_etag(sandbox: Sandbox, action: Action) -> None:
    """A run that has the ETag is written to, once, under exactly that one."""
    ref = sandbox.add_run("live")
    etag = etag_of(sandbox, ref)
    (done,) = await performed(sandbox, (ref, Guarded(action, etag)))
    assert (done.action, done.result().effect, done.result().requests) == (action, "accepted", 2)
    assert [request.header("If-Match") for request in sent(sandbox, action.name)] == [etag]
    assert applied(sandbox) == [action.name]


@pytest.mark.parametrize("action", [Pause(), UPDATE])
async def test_a_run_with_another_etag_is_not_written_to(sandbox: Sandbox, action: Action) -> None:
    """It is refused, with the run as it is, and no write is sent; other runs go on."""
    ref, other = sandbox.add_run("live"), sandbox.add_run("live")
    etag = etag_of(sandbox, ref)
    sandbox.touch(ref)
    refused, done = await performed(sandbox, (ref, Guarded(action, etag)), (other, Pause()))
    assert type(refused.error) is PreconditionFailedError
    assert etag in refused.error.message
    assert refused.error.wanted == action
    assert refused.error.current is not None
    assert refused.error.current.etag == etag_of(sandbox, ref)
    assert done.result().effect == "accepted"
    assert applied(sandbox) == ["pause"]


async def test_a_run_that_somebody_else_led_there_is_refused_as_well(sandbox: Sandbox) -> None:
    """Under another ETag the run is not as the row's author left it, wherever it is: that is no `already`."""
    ref = sandbox.add_run("live")
    etag = etag_of(sandbox, ref)
    sandbox.touch(ref, status="paused")
    (refused,) = await performed(sandbox, (ref, Guarded(Pause(), etag)))
    assert type(refused.error) is PreconditionFailedError
    assert not applied(sandbox)


@pytest.mark.parametrize("fault", [SecondWriter(), SecondWriter(status="paused"), SecondWriter(end_fielding_at=END)])
@pytest.mark.parametrize("action", [Pause(), UPDATE])
async def test_a_412_is_a_refusal(sandbox: Sandbox, action: Action, fault: Fault) -> None:
    """A colleague who writes between the look at the run and our write is not overwritten: nothing is sent again."""
    ref = sandbox.add_run("live")
    etag = etag_of(sandbox, ref)
    sandbox.script(fault, on=action.name)
    (refused,) = await performed(sandbox, (ref, Guarded(action, etag)))
    assert type(refused.error) is PreconditionFailedError
    assert refused.error.current is not None
    assert refused.error.current.etag == etag_of(sandbox, ref)
    assert [request.header("If-Match") for request in sent(sandbox, action.name)] == [etag]
    assert not applied(sandbox)


async def test_a_state_that_does_not_allow_the_action_is_its_own_error(sandbox: Sandbox) -> None:
    """The exchange's 422 under the very ETag stays what it is."""
    ref = sandbox.add_run("scheduled")
    (failed,) = await performed(sandbox, (ref, Guarded(Pause(), etag_of(sandbox, ref))))
    assert type(failed.error) is InvalidRunStateError


async def test_rows_of_a_run_follow_one_another(sandbox: Sandbox) -> None:
    """Each `previous` is the ETag that the row before left; one GET opens the run."""
    ref = sandbox.add_run("live")
    etag = etag_of(sandbox, ref)
    orders = [Guarded(Pause(), etag), Guarded(UPDATE, PREVIOUS), Guarded(Resume(), PREVIOUS)]
    rows = await performed(sandbox, *((ref, order) for order in orders))
    outcomes = [done.result() for done in rows]
    assert [outcome.effect for outcome in outcomes] == ["accepted"] * 3
    sent_under = [request.header("If-Match") for request in sent(sandbox, "pause", "update", "resume")]
    assert sent_under == [etag, outcomes[0].etag, outcomes[1].etag]
    assert [outcome.requests for outcome in outcomes] == [2, 1, 1]
    assert outcomes[2].etag == etag_of(sandbox, ref)


async def test_previous_holds_although_the_session_has_forgotten_the_run(sandbox: Sandbox) -> None:
    """The ETag that the row before left is kept with the batch, and a GET shows whether the run still has it."""
    ref, others = sandbox.add_run("live"), [sandbox.add_run("live") for _ in range(4)]
    rows: list[tuple[RunRef, object]] = [(ref, Guarded(Pause(), etag_of(sandbox, ref)))]
    rows += [(other, Pause()) for other in others]
    rows += [(ref, Guarded(Resume(), PREVIOUS))]
    pairs: Any = rows
    async with session(sandbox, etag_cache_size=1) as fielding, fielding.perform_all(pairs, concurrency=1) as batch:
        effects = [done.result().effect async for done in batch]
    assert effects == ["accepted"] * 6


async def test_a_colleague_between_two_rows_is_not_overwritten(sandbox: Sandbox) -> None:
    """The second row is refused under the ETag that the first one left; nothing is sent under the colleague's."""
    ref = sandbox.add_run("live")
    sandbox.script(SecondWriter(when="after"), on="pause")
    first, second = await performed(
        sandbox, (ref, Guarded(Pause(), etag_of(sandbox, ref))), (ref, Guarded(Resume(), PREVIOUS))
    )
    assert first.result().effect == "accepted"
    assert type(second.error) is PreconditionFailedError
    assert applied(sandbox) == ["pause"]
    assert {request.header("If-Match") for request in sent(sandbox, "resume")} == {first.result().etag}


@pytest.mark.parametrize("on_row_failure", ["skip", "continue"])
async def test_previous_after_a_refused_row_is_never_sent(sandbox: Sandbox, on_row_failure: Any) -> None:
    """Skipped as ever, or refused where rows go on after a failure."""
    ref = sandbox.add_run("live")
    etag = etag_of(sandbox, ref)
    sandbox.touch(ref)
    rows = [(ref, Guarded(Pause(), etag)), (ref, Guarded(Resume(), PREVIOUS))]
    _, second = await performed(sandbox, *rows, on_row_failure=on_row_failure)
    assert type(second.error) is (SkippedError if on_row_failure == "skip" else PreconditionFailedError)
    assert not applied(sandbox)


@pytest.mark.parametrize("before", ["nothing", "a plain row", "a row that was there already"])
async def test_previous_without_an_accepted_guarded_row_before_it_is_refused(sandbox: Sandbox, before: str) -> None:
    """Nobody knows which ETag is meant, and none is guessed."""
    ref = sandbox.add_run("paused")
    rows: dict[str, list[tuple[RunRef, object]]] = {
        "nothing": [],
        "a plain row": [(ref, Resume()), (ref, Pause())],
        "a row that was there already": [(ref, Guarded(Pause(), etag_of(sandbox, ref)))],
    }
    *earlier, refused = await performed(sandbox, *rows[before], (ref, Guarded(Resume(), PREVIOUS)))
    assert all(done.error is None for done in earlier)
    assert type(refused.error) is PreconditionFailedError
    assert PREVIOUS in refused.error.message
    assert len(applied(sandbox)) == (2 if before == "a plain row" else 0)


MOVED = END + timedelta(1)
LOST: list[tuple[Action, list[Any], object, int]] = [  # the faults of each attempt, how the row ends, writes applied
    (Pause(), [Cut("before")], "accepted", 1),
    (Pause(), [Cut("after")], "unconfirmed", 1),
    (UPDATE, [Cut("headers")], "unconfirmed", 1),
    (Pause(), [(SecondWriter(), Cut("after"))], PreconditionFailedError, 0),
    (UPDATE, [(SecondWriter(status="paused"), Cut("after"))], PreconditionFailedError, 0),
    (Pause(), [Cut("before"), SecondWriter()], PreconditionFailedError, 0),
    (Pause(), [(Cut("after"), SecondWriter(when="after"))], "unconfirmed", 1),
    (UPDATE, [(Cut("after"), SecondWriter(end_fielding_at=MOVED, when="after"))], OutcomeUnknownError, 1),
    (UPDATE, [(SecondWriter(end_fielding_at=MOVED), Cut("after"))], OutcomeUnknownError, 0),
]


@pytest.mark.parametrize(("action", "attempts", "end", "writes"), LOST)
async def test_a_lost_reply_is_judged_as_ever(
    sandbox: Sandbox, action: Action, attempts: list[Any], end: object, writes: int
) -> None:
    """The 412 that may answer our own lost write is no refusal; one that proves that nothing was applied is one."""
    ref = sandbox.add_run("live")
    etag = etag_of(sandbox, ref)
    sandbox.script(*attempts, on=action.name)
    (done,) = await performed(sandbox, (ref, Guarded(action, etag)))
    assert (done.outcome.effect if done.outcome else type(done.error)) == end
    assert {request.header("If-Match") for request in sent(sandbox, action.name)} == {etag}
    assert len(applied(sandbox)) == writes


async def test_a_stale_look_at_the_run_refuses_nothing(sandbox: Sandbox) -> None:
    """A cache that shows another ETag says nothing of the run: it is asked again."""
    ref = sandbox.add_run("live")
    etag = etag_of(sandbox, ref)
    sandbox.script((SetHeader("Age", "9"), SetHeader("ETag", 'W/"0"')), on="get")
    (done,) = await performed(sandbox, (ref, Guarded(Pause(), etag)))
    assert done.result().effect == "accepted"


@pytest.mark.parametrize("if_match", ["", "*", 'W/"5\n"', ' W/"5"', 5])
async def test_what_is_no_etag_makes_a_bad_row(sandbox: Sandbox, if_match: Any) -> None:
    """The row has a `ConfigurationError` that names the argument."""
    (bad,) = await performed(sandbox, (sandbox.add_run("live"), Guarded(Pause(), if_match)))
    assert type(bad.error) is ConfigurationError
    assert "if_match=" in bad.error.message
    assert not sandbox.requests


async def test_another_etag_is_another_plan(sandbox: Sandbox, path: Path) -> None:
    """A journal notices that the ETag of a row was changed since."""
    ref = sandbox.add_run("live")
    etag = etag_of(sandbox, ref)
    await performed(sandbox, (ref, Guarded(Pause(), etag)), journal=path)
    assert read_journal(path).counts.done == 1
    for order in (Guarded(Pause(), 'W/"77"'), Pause()):
        with pytest.raises(ConfigurationError, match="another plan"):
            await performed(sandbox, (ref, order), journal=path)


# -- gone on with by another process


def chain(of: int = 1) -> Any:
    """Return four rows on each of some runs that are live with the ETag `W/"1"`."""
    orders = [Guarded(Pause(), 'W/"1"'), *(Guarded(action, PREVIOUS) for action in (UPDATE, Resume(), Pause()))]
    return [(ref_of(run), order) for order in orders for run in range(of)]


def after_row(number: int) -> Callable[[Done], bool]:
    return lambda done: done.number == number


APPLIED = ["pause", "update", "resume", "pause"]


@pytest.mark.parametrize("ended", [1, 2, 3])
def test_a_batch_that_is_gone_on_with_knows_what_the_row_before_left(ended: int) -> None:
    """The ETag that an earlier process left is on record, and the next row is sent under it."""
    disk, exchange = Disk(), FakeExchange()
    first = one_process(disk, exchange, chain(), stop_on=after_row(ended - 1))
    second = one_process(disk, exchange, chain())
    assert [done.number for done in first] == list(range(ended))
    assert [done.number for done in second] == list(range(ended, 4))
    assert {done.result().effect for done in (*first, *second)} == {"accepted"}
    assert [action for _, action in exchange.applied] == APPLIED


def test_a_colleague_between_two_processes_is_not_overwritten() -> None:
    """The second process sends nothing under the colleague's ETag, on that run; the others go on."""
    disk, exchange = Disk(), FakeExchange()
    one_process(disk, exchange, chain(3), stop_on=after_row(2), concurrency=1)
    exchange.run("run1")["version"] += 1
    second = one_process(disk, exchange, chain(3))
    errors = {done.number: type(done.error) for done in second if done.error is not None}
    assert errors == {4: PreconditionFailedError, 7: SkippedError, 10: SkippedError}
    assert exchange.times(1) == 1
    assert exchange.times(0) == exchange.times(2) == 4


def cut_off_in_the_second_row(disk: Disk, exchange: FakeExchange) -> None:
    """Leave a journal whose second row is in flight, and was not applied."""

    async def main() -> None:
        async with session_on(exchange) as fielding:
            rows: Any = chain()
            context = perform_all(fielding, rows, Options(stop="cancel"), storage=lambda: MemoryStorage(disk))
            async with context as batch:
                async for _ in batch:
                    while not exchange.active:
                        await asyncio.sleep(0.001)
                    break

    virtual_time.run(main())
    assert exchange.times(0) == 1


def test_a_row_in_flight_is_gone_on_with_under_its_etag() -> None:
    """It is sent again under the ETag on record, and the rows after it follow."""
    disk, exchange = Disk(), FakeExchange()
    cut_off_in_the_second_row(disk, exchange)
    second = one_process(disk, exchange, chain())
    assert [done.result().effect for done in second] == ["accepted"] * 3
    assert [action for _, action in exchange.applied] == APPLIED


@pytest.mark.parametrize("by", ["us", "a colleague"])
def test_a_row_in_flight_that_cannot_be_sent_again_ends_the_run(by: str) -> None:
    """Whether it was applied or a colleague wrote, the rows after it are not sent under an ETag that is guessed."""
    disk, exchange = Disk(), FakeExchange()
    cut_off_in_the_second_row(disk, exchange)
    run = exchange.run("run0")
    run["version"] += 1
    run["status" if by == "a colleague" else "end_fielding_at"] = (
        "live" if by == "a colleague" else "2031-05-17T12:30:15.123Z"
    )
    second, third, last = one_process(disk, exchange, chain())
    if by == "us":
        assert second.result().effect == "unconfirmed"
        assert type(third.error) is PreconditionFailedError
    else:
        assert type(second.error) is PreconditionFailedError
        assert type(third.error) is SkippedError
    assert type(last.error) is SkippedError
    assert exchange.times(0) == 1


@pytest.mark.parametrize("lost", [4, 40])
def test_a_row_that_stays_open_is_tried_again_under_its_etag(lost: int) -> None:
    """The rows after it wait; once it is accepted they follow, and if it is not for now they are not sent either."""
    disk, exchange = Disk(), FakeExchange()
    left = [lost]

    def lose(_run: str, action: str) -> str | None:
        left[0] -= action == "update"
        return "before" if action == "update" and left[0] >= 0 else None

    exchange.lose = lose
    found = one_process(disk, exchange, chain())
    if lost == 40:
        assert [type(done.error) for done in found] == [type(None), OutcomeUnknownError, SkippedError, SkippedError]
        assert exchange.applied == [("run0", "pause")]
        left[0] = 0
        found += one_process(disk, exchange, chain())
    assert [done.result().effect for done in found if done.error is None] == ["accepted"] * 4
    assert [action for _, action in exchange.applied] == APPLIED


async def test_the_journal_holds_the_etag_of_rows_that_failed(sandbox: Sandbox, path: Path) -> None:
    """So a plan of these rows stays one that overwrites nothing."""
    ref = sandbox.add_run("live")
    rows: Sequence[Any] = [(ref, Guarded(Pause(), 'W/"77"')), (ref, Guarded(Resume(), PREVIOUS)), (ref, Pause())]
    await performed(sandbox, *rows, journal=path)
    assert [row.if_match for row in journal_rows(path)] == ['W/"77"', PREVIOUS, None]

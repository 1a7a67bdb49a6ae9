"""Rows that are sent under one ETag only: what a colleague wrote stands, and a reply that is lost is judged as ever."""

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
    read_journal,
)
from fielding_async.core.actions import PREVIOUS, Guarded
from fielding_async.sandbox import Cut, Fault, Sandbox, SecondWriter, SetHeader
from tests.tools.sessions import END, applied, sent, session

UPDATE = Update(end_fielding_at=END)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.journal"


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
    assert (refused.error.wanted, refused.error.current) == (action, sandbox.inspect(ref))
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
    assert refused.error.current == sandbox.inspect(ref)
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


LOST: list[tuple[tuple[Fault, ...], set[object]]] = [
    ((Cut("before"),), {"accepted"}),
    ((Cut("after"),), {"unconfirmed"}),
    ((Cut("headers"),), {"unconfirmed"}),
    ((SecondWriter(), Cut("after")), {PreconditionFailedError}),
    ((Cut("before"), SecondWriter()), {PreconditionFailedError}),
    ((Cut("after"), SecondWriter(when="after")), {"unconfirmed", OutcomeUnknownError}),
    (
        (Cut("after"), SecondWriter(status="live", end_fielding_at=END + timedelta(1), when="after")),
        {OutcomeUnknownError},
    ),
]


@pytest.mark.parametrize("action", [Pause(), UPDATE])
@pytest.mark.parametrize(("faults", "ends"), LOST)
async def test_a_lost_reply_is_judged_as_ever(
    sandbox: Sandbox, action: Action, faults: tuple[Fault, ...], ends: set[object]
) -> None:
    """The 412 that answers our own lost write is no refusal, and one that proves that nothing was applied is."""
    ref = sandbox.add_run("live")
    etag = etag_of(sandbox, ref)
    sandbox.script(faults, on=action.name)
    (done,) = await performed(sandbox, (ref, Guarded(action, etag)))
    assert (done.outcome.effect if done.outcome else type(done.error)) in ends
    assert {request.header("If-Match") for request in sent(sandbox, action.name)} == {etag}
    assert len(applied(sandbox)) == (PreconditionFailedError not in ends)


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

"""A write in flight when its process died, and then refused by the exchange: what a second run says of the row."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fielding_async import (
    Action,
    BadRequestError,
    Complete,
    Done,
    InvalidRunStateError,
    LaunchNow,
    OutcomeUnknownError,
    Pause,
    Relaunch,
    Resume,
    RunRef,
    Update,
    journal_rows,
    read_journal,
)
from fielding_async.journal.chain import Head
from fielding_async.journal.lines import intent_line, row_digest
from fielding_async.journal.values import Binding
from fielding_async.sandbox import Behaviour, Cut, Sandbox, Status
from tests.tools.journal_text import journal_text, leave_head
from tests.tools.sessions import END, TOKEN, applied, session

EARLIER = Update(start_fielding_at=END - timedelta(days=9000))
UPDATE = Update(end_fielding_at=END)


def leave_journal_of_killed_process(box: Sandbox, path: Path, ref: RunRef, action: Action) -> None:
    """Leave the journal of a process that was killed with this write in flight."""
    records = [intent_line(0, row_digest(ref, action), action, box.inspect(ref))]
    path.write_bytes(journal_text(Binding(box.url, "2025-12-18", None), records))
    leave_head(path, Head(0, ""))


async def resumed(box: Sandbox, path: Path, *rows: tuple[RunRef, Action], **arguments: Any) -> list[Done]:
    async with session(box) as fielding, fielding.perform_all(rows, journal=path, **arguments) as batch:
        return [done async for done in batch]


async def deliver_earlier_request(box: Sandbox, ref: RunRef, action: Action, etag: str) -> int:
    """Send the request of the killed process, as if it arrived only now; return the status of its reply."""
    url = (
        f"{box.url}/demand/accounts/{ref.account_id}/projects/{ref.project_id}"
        f"/target-groups/{ref.target_group_id}/fielding-runs/{ref.fielding_run_id}"
    )
    headers = {"Authorization": f"Bearer {TOKEN}", "Cint-API-Version": "2025-12-18", "If-Match": etag}
    async with aiohttp.ClientSession(headers=headers) as client, client.post(f"{url}/{action.name}") as response:
        return response.status


REFUSED_FINALLY: list[tuple[Action, str]] = [
    (LaunchNow(), "paused"),
    (LaunchNow(), "completed"),
    (Pause(), "completed"),
    (Resume(), "completed"),
    (Complete(), "paused"),
    (UPDATE, "completed"),
]
NAMES = [f"{action.name} of a {status} run" for action, status in REFUSED_FINALLY]


@pytest.mark.parametrize(("action", "status"), REFUSED_FINALLY, ids=NAMES)
async def test_a_row_refused_for_good_ends_as_in_an_undisturbed_run(
    sandbox: Sandbox, path: Path, action: Action, status: str
) -> None:
    """It has failed, with the very error of a batch that nobody killed, in the journal as in what is yielded."""
    calm, struck = sandbox.add_run(status=status), sandbox.add_run(status=status)
    leave_journal_of_killed_process(sandbox, path, struck, action)
    async with session(sandbox) as fielding, fielding.perform_all([(calm, action)]) as batch:
        (expected,) = [done async for done in batch]
    (found,) = await resumed(sandbox, path, (struck, action))
    for done, ref in ((expected, calm), (found, struck)):
        assert type(done.error) is InvalidRunStateError
        assert done.error.current is not None
        assert done.error.current.etag == sandbox.inspect(ref).etag
    assert isinstance(expected.error, InvalidRunStateError)
    assert isinstance(found.error, InvalidRunStateError)
    assert found.error.message == expected.error.message
    assert [(row.state, row.error) for row in journal_rows(path)] == [("failed", "InvalidRunStateError")]
    assert not applied(sandbox)


@pytest.mark.parametrize("clock_steps_version", [True, False])
@pytest.mark.parametrize(("action", "status"), REFUSED_FINALLY[:-1], ids=NAMES[:-1])
async def test_the_earlier_copy_is_never_taken_after_that(
    path: Path, action: Action, status: str, clock_steps_version: bool
) -> None:
    """Whenever the copy that the dead process sent comes in, it is refused, whatever the clock has done since."""
    async with Sandbox(require_token=TOKEN, behaviour=Behaviour(clock_steps_version=clock_steps_version)) as box:
        ref = box.add_run(status=status)
        etag = box.inspect(ref).etag
        assert etag is not None
        leave_journal_of_killed_process(box, path, ref, action)
        (done,) = await resumed(box, path, (ref, action))
        assert isinstance(done.error, InvalidRunStateError)
        for _ in range(12):
            assert await deliver_earlier_request(box, ref, action, etag) in {412, 422}
            box.advance(86_400)


@pytest.mark.parametrize(
    ("action", "status", "more"),
    [
        (Pause(), "scheduled", {}),
        (Resume(), "scheduled", {}),
        (Relaunch(), "scheduled", {}),
        (Relaunch(), "paused", {}),
        (Relaunch(), "completed", {"goal_reached": True}),
        (Resume(), "paused", {"goal_reached": True}),
    ],
)
async def test_a_row_whose_refusal_may_pass_is_unknown(
    sandbox: Sandbox, path: Path, action: Action, status: str, more: dict[str, Any]
) -> None:
    """Where the clock, or the completes goal, may yet have the earlier copy taken, nothing is said of the row."""
    ref = sandbox.add_run(status=status, **more)
    leave_journal_of_killed_process(sandbox, path, ref, action)
    (done,) = await resumed(sandbox, path, (ref, action))
    assert isinstance(done.error, OutcomeUnknownError)
    assert isinstance(done.error.__cause__, InvalidRunStateError)
    assert read_journal(path).counts.unknown == 1


async def test_a_copy_that_was_waiting_for_the_clock_is_why(path: Path) -> None:
    """A pause of a scheduled run is taken once the run is live, under the same ETag where the clock makes none."""
    async with Sandbox(require_token=TOKEN, behaviour=Behaviour(clock_steps_version=False)) as box:
        ref = box.add_run(status="scheduled")
        etag = box.inspect(ref).etag
        assert etag is not None
        leave_journal_of_killed_process(box, path, ref, Pause())
        (done,) = await resumed(box, path, (ref, Pause()))
        assert isinstance(done.error, OutcomeUnknownError)
        box.advance(1.5 * 86_400)
        assert await deliver_earlier_request(box, ref, Pause(), etag) == 204


async def test_a_copy_that_was_waiting_for_a_pause_by_the_exchange_is_why(path: Path) -> None:
    """A resume of a scheduled run is taken once the run went live and the exchange paused it, under the same ETag."""
    behaviour = Behaviour(clock_steps_version=False, pause_steps_version=False, pause_steps_etag=False)
    async with Sandbox(require_token=TOKEN, behaviour=behaviour) as box:
        ref = box.add_run(status="scheduled")
        etag = box.inspect(ref).etag
        assert etag is not None
        leave_journal_of_killed_process(box, path, ref, Resume())
        (done,) = await resumed(box, path, (ref, Resume()))
        assert isinstance(done.error, OutcomeUnknownError)
        box.advance(1.5 * 86_400)
        box.pause_by_exchange(ref)
        assert await deliver_earlier_request(box, ref, Resume(), etag) == 204


async def test_dates_that_are_refused_are_refused_for_good(sandbox: Sandbox, path: Path) -> None:
    """A 400 of the exchange is about what the request says, and its copy says the same."""
    ref = sandbox.add_run(status="live")
    leave_journal_of_killed_process(sandbox, path, ref, EARLIER)
    (done,) = await resumed(sandbox, path, (ref, EARLIER))
    assert isinstance(done.error, BadRequestError)
    assert [(row.state, row.error) for row in journal_rows(path)] == [("failed", "BadRequestError")]


async def test_a_400_of_somebody_else_proves_nothing(sandbox: Sandbox, path: Path) -> None:
    """A proxy that could not read the request says nothing of its copy: the row is gone on with, under its ETag."""
    ref = sandbox.add_run(status="live")
    leave_journal_of_killed_process(sandbox, path, ref, UPDATE)
    sandbox.script(Status(400, body=b"<html>bad request</html>"), on="update")
    (done,) = await resumed(sandbox, path, (ref, UPDATE))
    assert done.result().effect == "accepted"
    assert len({dict(sent.headers)["If-Match"] for sent in sandbox.requests if sent.method == "PUT"}) == 1


@pytest.mark.parametrize("status", [403, 404, 409])
async def test_other_refusals_prove_nothing(sandbox: Sandbox, path: Path, status: int) -> None:
    """What is forbidden, missing or in the way now may not have been when the earlier copy came in."""
    ref = sandbox.add_run(status="completed")
    leave_journal_of_killed_process(sandbox, path, ref, Pause())
    sandbox.script(*[Status(status)] * (1 if status == 404 else 3), on="pause")
    (done,) = await resumed(sandbox, path, (ref, Pause()))
    assert isinstance(done.error, OutcomeUnknownError)
    assert done.is_open is (status != 404)
    assert (read_journal(path).counts.unknown, read_journal(path).counts.stuck) == ((1, 0) if status == 404 else (0, 1))


async def test_replies_lost_after_resuming_are_judged_as_ever(sandbox: Sandbox, path: Path) -> None:
    """A reply that the second process loses itself leaves the doubt that any lost reply leaves."""
    ref = sandbox.add_run(status="completed")
    leave_journal_of_killed_process(sandbox, path, ref, Pause())
    sandbox.script(Cut("before"), on="pause")
    (done,) = await resumed(sandbox, path, (ref, Pause()))
    assert isinstance(done.error, OutcomeUnknownError)


async def test_no_doubt_is_left_behind(sandbox: Sandbox, path: Path) -> None:
    """A later row of the run, if it is to be performed all the same, finds a run that nothing can still change."""
    ref = sandbox.add_run(status="completed")
    leave_journal_of_killed_process(sandbox, path, ref, Pause())
    found = await resumed(sandbox, path, (ref, Pause()), (ref, Complete()), on_row_failure="continue")
    assert isinstance(found[0].error, InvalidRunStateError)
    assert found[1].result().effect == "already"

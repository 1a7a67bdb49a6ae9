"""Runs over HTTP: the documented successes and errors."""

from datetime import datetime, timedelta

import pytest

from fielding_async.core.models import RunRef
from tests.sandbox.api import Api, group_path

MINUTE = timedelta(minutes=1)
ELSEWHERE = RunRef(101, "0" * 26, "0" * 26, "nothing")


def text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_get_shows_the_run_with_its_etag(api: Api) -> None:
    """A GET answers 200 with the documented fields and the version's ETag."""
    ref = api.sandbox.add_run("live", version=5)
    got = await api.get(ref)
    run = api.sandbox.inspect(ref)
    assert run.last_changed_at is not None
    assert (got.status, got.etag) == (200, 'W/"5"')
    assert got.json == {
        "id": ref.fielding_run_id,
        "last_changed_at": text(run.last_changed_at)[:-4] + got.json["last_changed_at"][-4:],
        "last_changed_by": run.last_changed_by,
        "start_fielding_at": text(run.start_fielding_at),
        "end_fielding_at": text(run.end_fielding_at),
        "status": "live",
        "version": 5,
    }


async def test_list_shows_the_one_run_or_none(api: Api) -> None:
    """A target group lists its run, a draft lists nothing, an unknown one is 404."""
    ref, draft = api.sandbox.add_run("paused"), api.sandbox.add_draft()
    listed = await api.send("GET", f"{group_path(ref)}/fielding-runs")
    assert listed.status == 200
    assert [run["id"] for run in listed.json["data"]] == [ref.fielding_run_id]
    assert (await api.send("GET", f"{group_path(draft)}/fielding-runs")).json == {
        "data": [],
        "has_more": False,
    }
    assert (await api.send("GET", f"{group_path(ELSEWHERE)}/fielding-runs")).status == 404


@pytest.mark.parametrize(
    ("action", "before", "status", "after"),
    [
        ("pause", "live", 204, "paused"),
        ("resume", "paused", 204, "live"),
        ("complete", "live", 204, "completed"),
        ("complete", "scheduled", 204, "completed"),
        ("relaunch", "completed", 204, "live"),
        ("launch-now", "scheduled", 200, "live"),
    ],
)
async def test_actions_move_the_status(api: Api, action: str, before: str, status: int, after: str) -> None:
    """Each action answers its documented status with the new ETag, and leads where it says."""
    ref = api.sandbox.add_run(before)
    got = await api.act(ref, action)
    run = api.sandbox.inspect(ref)
    assert (got.status, got.etag) == (status, 'W/"2"')
    assert (run.status, run.version, run.etag) == (after, 2, 'W/"2"')
    assert status == 200 or got.body == b""


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("pause", {"live"}),
        ("resume", {"paused"}),
        ("complete", {"live", "scheduled"}),
        ("relaunch", {"completed"}),
        ("launch-now", {"scheduled"}),
    ],
)
async def test_wrong_state_is_422(api: Api, action: str, allowed: set[str]) -> None:
    """An action from any other status is 422 `invalid_state_error`, and changes nothing."""
    for status in {"scheduled", "live", "paused", "completed"} - allowed:
        ref = api.sandbox.add_run(status)
        got = await api.act(ref, action)
        assert (got.status, got.json["object"]) == (422, "invalid_state_error")
        assert api.sandbox.inspect(ref).version == 1
    assert api.sandbox.history == ()


async def test_launch_now_keeps_the_length(api: Api) -> None:
    """Launching now moves the start to now and the end with it, and says so."""
    ref = api.sandbox.add_run()
    before = api.sandbox.inspect(ref)
    got = await api.act(ref, "launch-now")
    after = api.sandbox.inspect(ref)
    assert abs(after.start_fielding_at - api.sandbox.now) < MINUTE
    assert after.end_fielding_at - after.start_fielding_at == before.end_fielding_at - before.start_fielding_at
    assert got.json == {
        "start_fielding_at": text(after.start_fielding_at),
        "end_fielding_at": text(after.end_fielding_at),
    }


@pytest.mark.parametrize("action", ["resume", "relaunch"])
async def test_goal_or_end_reached_is_422(api: Api, action: str) -> None:
    """A run past its end or its goal is neither resumed nor relaunched."""
    status = "paused" if action == "resume" else "completed"
    goal = api.sandbox.add_run(status, goal_reached=True)
    ended = api.sandbox.add_run(status, end_fielding_at=api.sandbox.now - MINUTE)
    assert (await api.act(goal, action)).status == 422
    assert (await api.act(ended, action)).status == 422


async def test_update_sets_both_dates(api: Api) -> None:
    """An update answers 202 with the id and the new ETag, and stores whole milliseconds."""
    ref = api.sandbox.add_run()
    got = await api.update(ref, "2199-01-01T00:00:00.1239Z", "2199-01-02T00:00:00+00:00")
    run = api.sandbox.inspect(ref)
    assert (got.status, got.etag, got.json) == (202, 'W/"2"', {"id": ref.fielding_run_id})
    assert (run.start_text, run.end_text) == ("2199-01-01T00:00:00.123Z", "2199-01-02T00:00:00.000Z")


async def test_update_takes_a_past_start_only_if_it_is_the_runs_own(api: Api) -> None:
    """A live run can be extended under its own start; another start in the past is 400."""
    ref = api.sandbox.add_run("live")
    run = api.sandbox.inspect(ref)
    assert (await api.update(ref, run.start_text, text(run.end_fielding_at + MINUTE))).status == 202
    got = await api.update(ref, text(run.start_fielding_at + MINUTE), run.end_text)
    assert got.status == 400
    assert [param["name"] for param in got.json["invalid_params"]] == ["start_fielding_at"]


async def test_update_of_a_completed_run_is_422(api: Api) -> None:
    """A completed run takes no update."""
    ref = api.sandbox.add_run("completed")
    assert (await api.update(ref, "2199-01-01T00:00:00.000Z", "2199-01-02T00:00:00.000Z")).status == 422


@pytest.mark.parametrize("etag", ['W/"2"', '"1"', "*", "1", 'w/"1"', 'W/"1", W/"2"'])
async def test_if_match_is_compared_byte_for_byte(api: Api, etag: str) -> None:
    """Whatever is not the very text of the ETag is stale: 412, nothing applied."""
    ref = api.sandbox.add_run("live")
    got = await api.act(ref, "pause", etag)
    assert (got.status, got.json["object"]) == (412, "precondition_failed_error")
    assert api.sandbox.inspect(ref).status == "live"


async def test_unknown_ids_are_404(api: Api) -> None:
    """A run is found only under all four of its ids."""
    ref = api.sandbox.add_run("live")
    others = [
        RunRef(102, ref.project_id, ref.target_group_id, ref.fielding_run_id),
        RunRef(-1, ref.project_id, ref.target_group_id, ref.fielding_run_id),
        RunRef(101, "0" * 26, ref.target_group_id, ref.fielding_run_id),
        RunRef(101, ref.project_id, "0" * 26, ref.fielding_run_id),
        RunRef(101, ref.project_id, ref.target_group_id, "%2e"),
    ]
    for other in others:
        assert (await api.get(other)).status == 404
        assert (await api.act(other, "pause", 'W/"1"')).status == 404
        assert (await api.update(other, "2199-01-01T00:00:00Z", "2199-01-02T00:00:00Z", 'W/"1"')).status == 404


async def test_the_clock_moves_runs(api: Api) -> None:
    """A run goes live at its start and completes at its end, each time as a write of the clock."""
    ref = api.sandbox.add_run()
    run = api.sandbox.inspect(ref)
    api.sandbox.advance(86_400)
    assert (await api.get(ref)).json["status"] == "live"
    api.sandbox.advance(8 * 86_400)
    assert (await api.get(ref)).json["status"] == "completed"
    moves = [(write.operation, write.by, write.at, write.etag_after) for write in api.sandbox.history]
    assert moves == [
        ("start", "clock", run.start_fielding_at, 'W/"2"'),
        ("end", "clock", run.end_fielding_at, 'W/"3"'),
    ]


async def test_a_paused_run_outlives_its_end(api: Api) -> None:
    """The clock leaves paused runs alone, so that resuming them past their end can be refused."""
    ref = api.sandbox.add_run("paused")
    api.sandbox.advance(30 * 86_400)
    assert api.sandbox.inspect(ref).status == "paused"


async def test_touch_makes_the_next_write_stale(api: Api) -> None:
    """A colleague's write steps the version, changes what was named, and shows in the history as his."""
    ref = api.sandbox.add_run("live")
    stale = (await api.get(ref)).etag
    touched = api.sandbox.touch(ref, status="paused")
    assert (touched.status, touched.version) == ("paused", 2)
    assert (await api.act(ref, "complete", stale)).status == 412
    (write,) = api.sandbox.history
    assert (write.by, write.operation, write.status_before, write.status_after) == (
        "colleague",
        "touch",
        "live",
        "paused",
    )


async def test_history_tells_each_write_in_full(api: Api) -> None:
    """A write of the client is kept with ETags, dates, If-Match, body and the request it came by."""
    ref = api.sandbox.add_run()
    before = api.sandbox.inspect(ref)
    await api.update(ref, before.start_text, "2199-01-02T00:00:00.000Z")
    await api.get(ref)
    (write,) = api.sandbox.history
    request = api.sandbox.requests[0]
    assert (write.seq, write.ref, write.by, write.operation) == (1, ref, "client", "update")
    assert (write.if_match, write.etag_before, write.etag_after) == ('W/"1"', 'W/"1"', 'W/"2"')
    assert (write.start_before, write.start_after) == (before.start_fielding_at, before.start_fielding_at)
    assert (write.end_before, write.end_after) == (
        before.end_fielding_at,
        api.sandbox.inspect(ref).end_fielding_at,
    )
    assert (write.body, write.request_id) == (request.body, request.id)
    assert [(r.operation, r.status, r.applied, r.ref) for r in api.sandbox.requests] == [
        ("update", 202, True, ref),
        ("get", 200, False, ref),
    ]

"""Draft jobs and bulk jobs over HTTP."""

from typing import Any, Literal

import pytest

from fielding_async.sandbox import Behaviour, DraftRef, FailureReason, JobFails, JobFailure, JobOmits
from tests.sandbox.api import Api, group_path, project_path, serving

SCHEDULE = {"start_fielding_at": "2199-01-01T00:00:00.000Z", "end_fielding_at": "2199-01-02T00:00:00.000Z"}
LAUNCH = {"end_fielding_at": "2199-01-02T00:00:00.000Z"}
BODIES: dict[str, Any] = {"launch-from-draft": LAUNCH, "schedule-from-draft": SCHEDULE}
NOBODY = DraftRef(101, "0" * 26, "0" * 26)


@pytest.mark.parametrize(("kind", "status"), [("launch-from-draft", "live"), ("schedule-from-draft", "scheduled")])
async def test_a_draft_job_makes_a_run(api: Api, kind: str, status: str) -> None:
    """A draft job answers 201 without a body, and its status names the run that it made."""
    draft = api.sandbox.add_draft()
    made = await api.draft(kind, draft, BODIES[kind])
    assert (made.status, made.body) == (201, b"")
    job = (await api.draft_status(kind, draft, made.job_id)).json
    assert (job["status"], job["job_id"]) == ("Completed", made.job_id)
    assert set(job) == {"job_id", "created_at", "created_by", "status", "created_fielding_run_id"}
    (listed,) = (await api.send("GET", f"{group_path(draft)}/fielding-runs")).json["data"]
    assert (listed["id"], listed["status"]) == (job["created_fielding_run_id"], status)
    (write,) = api.sandbox.history
    assert (write.by, write.operation, write.etag_before, write.status_after) == ("job", kind, None, status)


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("launch-from-draft", {"end_fielding_at": "2001-01-01T00:00:00Z"}, "InvalidFieldingDates"),
        (
            "schedule-from-draft",
            SCHEDULE | {"start_fielding_at": "2001-01-01T00:00:00Z"},
            "InvalidFieldingDates",
        ),
    ],
)
async def test_a_draft_job_with_past_dates_fails(api: Api, kind: str, body: Any, code: str) -> None:
    """Dates in the past are found out by the job, not by the request."""
    draft = api.sandbox.add_draft()
    made = await api.draft(kind, draft, body)
    assert made.status == 201
    job = (await api.draft_status(kind, draft, made.job_id)).json
    assert (job["status"], job["failure_reason"]["code"]) == ("Failed", code)


async def test_a_failed_draft_job_tells_why_and_its_trace(api: Api) -> None:
    """A draft set up to fail gives the code, the reasons, and the trace id of the creating request."""
    failure = JobFailure("ProfilesInvalid", "Bad profiles.", (FailureReason("n1", "r1", "d1"), FailureReason("n2")))
    draft = api.sandbox.add_draft(failure=failure)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    made = await api.draft("launch-from-draft", draft, LAUNCH, traceparent=parent)
    job = (await api.draft_status("launch-from-draft", draft, made.job_id)).json
    assert job["failure_reason"] == {
        "code": "ProfilesInvalid",
        "description": "Bad profiles.",
        "reasons": [{"name": "n1", "reason": "r1", "detail": "d1"}, {"name": "n2"}],
    }
    assert job["job_trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert api.sandbox.history == ()


async def test_draft_jobs_on_what_is_no_draft_fail(api: Api) -> None:
    """A target group that is unknown or has a run fails with its code."""
    ref = api.sandbox.add_run()
    group = DraftRef(ref.account_id, ref.project_id, ref.target_group_id)
    for target, code in ((NOBODY, "TargetGroupNotFound"), (group, "TargetGroupInvalidState")):
        made = await api.draft("launch-from-draft", target, LAUNCH)
        job = (await api.draft_status("launch-from-draft", target, made.job_id)).json
        assert job["failure_reason"]["code"] == code


@pytest.mark.parametrize(
    ("action", "moved", "already", "refused"),
    [
        ("launch", ["scheduled"], "live", ["paused", "completed"]),
        ("pause", ["live"], "paused", ["scheduled", "completed"]),
        ("resume", ["paused"], "live", ["scheduled", "completed"]),
        ("complete", ["live", "scheduled"], "completed", ["paused"]),
        ("relaunch", ["completed"], "live", ["scheduled", "paused"]),
    ],
)
async def test_bulk_jobs_move_each_target_group_or_say_why_not(
    api: Api, action: str, moved: list[str], already: str, refused: list[str]
) -> None:
    """Each target group is updated, or was there already, or failed with a code; the updated ones step."""
    sandbox = api.sandbox
    good = [sandbox.add_run(status) for status in moved]
    there = sandbox.add_run(already)
    bad = [sandbox.add_run(status) for status in refused]
    draft = sandbox.add_draft()
    groups = [ref.target_group_id for ref in (*good, there, *bad)] + [draft.target_group_id, "Z" * 26]
    made = await api.bulk(action, *groups, *groups)
    assert (made.status, made.body) == (201, b"")
    job = (await api.bulk_status(action, made.job_id)).json
    assert job["status"] == "Completed"
    updated = [entry["target_group_id"] for entry in job["updated_target_groups"]["data"]]
    failed = {e["target_group_id"]: e["failure_reason"]["code"] for e in job["failed_target_groups"]["data"]}
    assert updated == [ref.target_group_id for ref in (*good, there)]
    assert failed == {ref.target_group_id: "StatusTransitionNotAllowed" for ref in bad} | {
        draft.target_group_id: "TargetGroupInvalidState",
        "Z" * 26: "TargetGroupNotFound",
    }
    assert {sandbox.inspect(ref).version for ref in good} == {2}
    assert sandbox.inspect(there).version == 1
    assert {write.by for write in sandbox.history} == {"job"}


async def test_a_bulk_relaunch_past_the_end_names_the_dates(api: Api) -> None:
    """A run whose end is past fails a bulk relaunch with `InvalidFieldingDates`."""
    ref = api.sandbox.add_run("completed", end_fielding_at=api.sandbox.now)
    made = await api.bulk("relaunch", ref.target_group_id)
    (failed,) = (await api.bulk_status("relaunch", made.job_id)).json["failed_target_groups"]["data"]
    assert failed["failure_reason"]["code"] == "InvalidFieldingDates"


async def test_bulk_on_an_unknown_project_is_404(api: Api) -> None:
    """A bulk job needs a project that exists, and ids of the right form."""
    assert (await api.bulk("pause", "0" * 26)).status == 404
    ref = api.sandbox.add_run()
    for groups in ([], ["short"], [ref.target_group_id, "z" * 26]):
        assert (await api.bulk("pause", *groups)).status == 400


async def test_the_same_key_makes_one_job(api: Api) -> None:
    """The same key at the same endpoint gets the same 201 and job; at another it is another key."""
    ref = api.sandbox.add_run("live")
    first = await api.bulk("pause", ref.target_group_id)
    api.sandbox.touch(ref, status="live")
    second = await api.bulk("pause", ref.target_group_id)
    other = await api.bulk("complete", ref.target_group_id)
    assert (first.status, first.headers["Location"]) == (second.status, second.headers["Location"])
    assert other.job_id != first.job_id
    assert len(api.sandbox.jobs) == 2
    assert [write.operation for write in api.sandbox.history] == ["bulk-pause", "touch", "bulk-complete"]
    assert [request.applied for request in api.sandbox.requests] == [True, False, True]


@pytest.mark.parametrize(("reuse", "status"), [("same-job", 201), ("refuse", 400)])
async def test_the_same_key_with_another_body(reuse: Literal["same-job", "refuse"], status: int) -> None:
    """A key that comes again with another body gets the job already made, or 400, as switched."""
    async with serving(behaviour=Behaviour(key_reuse=reuse)) as api:
        one, two = api.sandbox.add_run("live"), api.sandbox.add_run("live")
        await api.bulk("pause", one.target_group_id)
        assert (await api.bulk("pause", two.target_group_id)).status == status
        assert api.sandbox.inspect(two).status == "live"
        assert len(api.sandbox.jobs) == 1


async def test_jobs_are_found_only_where_they_were_made(api: Api) -> None:
    """A job's status is 404 under another kind, project or target group."""
    draft, other = api.sandbox.add_draft(), api.sandbox.add_draft()
    made = await api.draft("launch-from-draft", draft, LAUNCH)
    assert (await api.draft_status("launch-from-draft", other, made.job_id)).status == 404
    assert (await api.draft_status("schedule-from-draft", draft, made.job_id)).status == 404
    assert (await api.draft_status("launch-from-draft", NOBODY, made.job_id)).status == 404
    assert (await api.bulk_status("launch", made.job_id)).status == 404
    assert (await api.bulk_status("launch", "none")).status == 404


async def test_jobs_take_their_time_by_the_clock() -> None:
    """A job is processing until its seconds have passed, and its writes bear that moment."""
    async with serving(behaviour=Behaviour(job_seconds=60)) as api:
        ref = api.sandbox.add_run("live")
        made = await api.bulk("pause", ref.target_group_id)
        job = (await api.bulk_status("pause", made.job_id)).json
        assert (job["status"], job["updated_target_groups"]["data"]) == ("Processing", [])
        assert api.sandbox.inspect(ref).status == "live"
        api.sandbox.advance(61)
        assert (await api.bulk_status("pause", made.job_id)).json["status"] == "Completed"
        assert api.sandbox.history[0].at == api.sandbox.jobs[0].due_at


async def test_jobs_take_a_number_of_polls() -> None:
    """With `job_polls` so many polls see the job processing, and the next one sees it ended."""
    async with serving(behaviour=Behaviour(job_polls=2, job_nulls=True)) as api:
        draft = api.sandbox.add_draft()
        made = await api.draft("launch-from-draft", draft, LAUNCH)
        jobs = [(await api.draft_status("launch-from-draft", draft, made.job_id)).json for _ in range(4)]
        assert [job["status"] for job in jobs] == ["Processing", "Processing", "Completed", "Completed"]
        assert jobs[0]["created_fielding_run_id"] is None
        assert jobs[3]["failure_reason"] is jobs[3]["job_trace_id"] is None


@pytest.mark.parametrize(
    ("form", "draft_location", "bulk_location"),
    [
        ("published", "{}/fielding-run-jobs/launch-from-draft/{}", "{}/batch-jobs/pause/{}"),
        (
            "url",
            "https://api.cint.com/v1{}/fielding-run-jobs/launch-from-draft/{}",
            "https://api.cint.com/v1{}/batch-jobs/pause-fielding-runs-by-target-group-id/{}",
        ),
        (
            "path",
            "/v1{}/fielding-run-jobs/launch-from-draft/{}",
            "/v1{}/batch-jobs/pause-fielding-runs-by-target-group-id/{}",
        ),
    ],
)
async def test_location_takes_several_forms(form: Any, draft_location: str, bulk_location: str) -> None:
    """The Location of a job is written in the form switched on, always ending in the job id."""
    async with serving(behaviour=Behaviour(location=form)) as api:
        draft, ref = api.sandbox.add_draft(), api.sandbox.add_run("live")
        made = await api.draft("launch-from-draft", draft, LAUNCH)
        assert made.headers["Location"] == draft_location.format(group_path(draft), api.sandbox.jobs[0].job_id)
        bulk = await api.bulk("pause", ref.target_group_id)
        location = bulk_location.format(project_path(api.sandbox), api.sandbox.jobs[1].job_id)
        assert bulk.headers["Location"] == location


async def test_location_may_be_a_bare_id() -> None:
    """With `location="id"` the Location is the job id and nothing else."""
    async with serving(behaviour=Behaviour(location="id")) as api:
        made = await api.bulk("pause", api.sandbox.add_run("live").target_group_id)
        assert made.headers["Location"] == api.sandbox.jobs[0].job_id


async def test_a_job_can_be_made_to_fail_or_to_forget(api: Api) -> None:
    """`JobFails` ends the job `Failed`, nothing done; `JobOmits` leaves target groups out of both lists."""
    one, two = api.sandbox.add_run("live"), api.sandbox.add_run("live")
    groups = (one.target_group_id, two.target_group_id)
    api.sandbox.script(JobFails(), JobOmits([two.target_group_id]), on="bulk-pause")
    failed = (await api.bulk_status("pause", (await api.bulk("pause", *groups)).job_id)).json
    assert (failed["status"], failed["updated_target_groups"]["data"]) == ("Failed", [])
    assert api.sandbox.history == ()
    partial = (await api.bulk_status("pause", (await api.bulk("pause", *groups, key="b")).job_id)).json
    assert [entry["target_group_id"] for entry in partial["updated_target_groups"]["data"]] == [groups[0]]
    assert partial["failed_target_groups"]["data"] == []
    draft = api.sandbox.add_draft()
    api.sandbox.script(JobFails(JobFailure("Odd", "Odd.")), on="POST")
    made = await api.draft("launch-from-draft", draft, LAUNCH)
    job = (await api.draft_status("launch-from-draft", draft, made.job_id)).json
    assert (job["status"], job["failure_reason"]["code"]) == ("Failed", "Odd")

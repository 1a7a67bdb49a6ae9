"""Draft jobs and bulk jobs: made once, waited for properly; over real sockets."""

import asyncio
import json
import logging
import pickle
import random
from datetime import timedelta
from typing import Any, Literal

import pytest

from fielding_async import (
    BatchResult,
    ConfigurationError,
    DeadlineExceededError,
    DraftResult,
    JobFailedError,
    NotFoundError,
    OutcomeUnknownError,
    Project,
    ProtocolError,
    Retry,
    ServerError,
)
from fielding_async.sandbox import (
    Behaviour,
    Cut,
    DropHeader,
    FailureReason,
    Fault,
    Hold,
    JobFails,
    JobFailure,
    JobOmits,
    Reply,
    Sandbox,
    SetHeader,
    Status,
)
from tests.tools.sessions import END, TOKEN, sent, session
from tests.tools.waits import Clock

Kind = Literal["launch", "pause", "resume", "complete", "relaunch"]
KINDS: list[tuple[Kind, str, str]] = [
    ("launch", "scheduled", "live"),
    ("pause", "live", "paused"),
    ("resume", "paused", "live"),
    ("complete", "live", "completed"),
    ("relaunch", "completed", "live"),
]


def make(project: Project, kind: Kind) -> Any:
    """Return the bulk call of a kind."""
    return getattr(project, kind)


@pytest.mark.parametrize(("kind", "before", "after"), KINDS, ids=[kind for kind, _, _ in KINDS])
async def test_a_bulk_job_changes_its_target_groups(sandbox: Sandbox, kind: Kind, before: str, after: str) -> None:
    """Each bulk call makes a job that leads the runs where its name says; failures are data in the result."""
    good = [sandbox.add_run(before) for _ in range(2)]
    there = sandbox.add_run(after)
    bad = sandbox.add_run("completed" if after != "completed" and before != "completed" else "scheduled")
    if kind == "complete":
        bad = sandbox.add_run("paused")
    unknown = "Z" * 26
    ids = [ref.target_group_id for ref in (*good, there, bad)] + [unknown]
    async with session(sandbox) as fielding:
        job = await make(fielding.project(101, sandbox.project_id), kind)(ids)
        result: BatchResult = await job.wait()
    assert result.status == "Completed"
    assert set(result.updated) == {ref.target_group_id for ref in (*good, there)}
    assert {group.target_group_id: group.code for group in result.failed} == {
        bad.target_group_id: "StatusTransitionNotAllowed",
        unknown: "TargetGroupNotFound",
    }
    assert result.missing == ()
    assert {sandbox.inspect(ref).status for ref in good} == {after}
    with pytest.raises(JobFailedError, match="2 target groups") as caught:
        result.raise_for_failures()
    assert caught.value.result == result


async def test_target_groups_in_neither_list_are_missing(sandbox: Sandbox) -> None:
    """An id that was asked for and is in neither list of an ended job is `missing`."""
    refs = [sandbox.add_run("live") for _ in range(3)]
    ids = [ref.target_group_id for ref in refs]
    sandbox.script(JobOmits((ids[1],)), on="bulk-pause")
    async with session(sandbox) as fielding:
        result = await (await fielding.project(101, sandbox.project_id).pause(ids)).wait()
    assert result.missing == (ids[1],)
    with pytest.raises(JobFailedError, match="missing"):
        result.raise_for_failures()


async def test_a_job_that_fails_is_raised_with_its_result(sandbox: Sandbox) -> None:
    """A bulk job that ends `Failed` raises `JobFailedError` from `wait`, and is data from `status`."""
    ref = sandbox.add_run("live")
    sandbox.script(JobFails(), on="bulk-pause")
    async with session(sandbox) as fielding:
        job = await fielding.project(101, sandbox.project_id).pause([ref.target_group_id])
        with pytest.raises(JobFailedError) as caught:
            await job.wait()
        assert (await job.status()).status == "Failed"
    assert caught.value.result.status == "Failed"
    assert caught.value.trace_id


async def test_a_token_echoed_in_a_jobs_result_is_taken_out(sandbox: Sandbox) -> None:
    """What a job's status says of its failures holds no token, nor do the errors that bear it."""
    ref = sandbox.add_run("live")
    failed = [
        {"target_group_id": ref.target_group_id, "failure_reason": {"code": TOKEN, "description": f"saw {TOKEN}"}}
    ]
    body = {
        "job_id": "JOB",
        "status": "Completed",
        "created_at": "2030-01-01T00:00:00.000Z",
        "created_by": TOKEN,
        "updated_target_groups": None,
        "failed_target_groups": {"data": failed},
    }
    json_type = (("Content-Type", "application/json"),)
    async with session(sandbox) as fielding:
        job = await fielding.project(101, sandbox.project_id).pause([ref.target_group_id])
        sandbox.script(Reply(200, json_type, json.dumps(body).encode()), on="bulk-pause-status")
        with pytest.raises(JobFailedError) as left_undone:
            (await job.status()).raise_for_failures()
        sandbox.script(Reply(200, json_type, json.dumps(body | {"status": "Failed"}).encode()), on="bulk-pause-status")
        with pytest.raises(JobFailedError) as ended:
            await job.wait()
    for caught in (left_undone, ended):
        assert isinstance(caught.value.result, BatchResult)
        assert caught.value.result.failed[0].description == "saw ***"
        assert TOKEN.encode() not in pickle.dumps(caught.value)


async def test_drafts_become_runs(sandbox: Sandbox) -> None:
    """Launch and schedule from draft make jobs whose results name the new run."""
    launched, scheduled = sandbox.add_draft(), sandbox.add_draft()
    async with session(sandbox) as fielding:
        project = fielding.project(101, sandbox.project_id)
        group = project.target_group(launched.target_group_id)
        first = await (await group.launch_from_draft(end_fielding_at=END)).wait()
        (run,) = await group.list_runs()
        assert run.id == first.created_fielding_run_id
        assert (run.status, run.etag) == ("live", None)
        other = project.target_group(scheduled.target_group_id)
        job = await other.schedule_from_draft(start_fielding_at=END - timedelta(days=2), end_fielding_at=END)
        second = await job.wait()
        assert second.created_fielding_run_id is not None
        assert (await other.run(second.created_fielding_run_id).get()).status == "scheduled"
        assert await project.target_group(sandbox.add_draft().target_group_id).list_runs() == []
    body = json.loads(sent(sandbox, "schedule-from-draft")[0].body)
    assert body == {
        "start_fielding_at": "2031-05-15T12:30:15.123Z",
        "end_fielding_at": "2031-05-17T12:30:15.123Z",
    }


async def test_a_failed_draft_job_tells_why(sandbox: Sandbox) -> None:
    """A draft job that fails raises `JobFailedError` with code, reasons and the trace id of its creation."""
    failure = JobFailure("TargetGroupInvalidState", "not a draft", (FailureReason("name", "reason", "detail"),))
    draft = sandbox.add_draft(failure=failure)
    async with session(sandbox) as fielding:
        group = fielding.project(101, sandbox.project_id).target_group(draft.target_group_id)
        job = await group.launch_from_draft(end_fielding_at=END)
        with pytest.raises(JobFailedError, match="TargetGroupInvalidState: not a draft") as caught:
            await job.wait()
    result = caught.value.result
    assert isinstance(result, DraftResult)
    assert result.failure is not None
    assert (result.failure.code, result.failure.reasons[0].detail) == ("TargetGroupInvalidState", "detail")
    assert result.job_trace_id == job.trace_id


async def test_waiting_polls_until_the_end(sandbox: Sandbox) -> None:
    """`wait` polls while the job is processing, tells `on_poll` (plain or async), and returns the ended job."""
    async with Sandbox(require_token=TOKEN, behaviour=Behaviour(job_polls=2)) as box:
        ref = box.add_run("live")
        seen: list[str] = []

        async def on_poll(result: BatchResult) -> None:
            await asyncio.sleep(0)
            seen.append(result.status)

        async with session(box) as fielding:
            job = await fielding.project(101, box.project_id).pause([ref.target_group_id])
            result = await job.wait(on_poll=on_poll)
    assert seen == ["Processing", "Processing", "Completed"]
    assert result.updated == (ref.target_group_id,)
    assert len({request.header("traceparent") for request in sent(box, "bulk-pause-status")}) == 3


async def test_waiting_ends_at_its_timeout(sandbox: Sandbox, clock: Clock) -> None:
    """A job that does not end in time is a `DeadlineExceededError`; the job goes on, and can be waited for again."""
    async with Sandbox(require_token=TOKEN, behaviour=Behaviour(job_seconds=3600)) as box:
        ref = box.add_run("live")
        async with session(box) as fielding:
            job = await fielding.project(101, box.project_id).pause([ref.target_group_id])
            with pytest.raises(DeadlineExceededError, match="Processing"):
                await job.wait(timeout=50, on_poll=lambda _: clock.advance(50))
            box.advance(3601)
            assert (await job.wait()).updated == (ref.target_group_id,)


async def test_a_handle_is_rebuilt_from_stored_ids(sandbox: Sandbox) -> None:
    """A restart costs nothing: a handle rebuilt from ids waits on, and with its ids tells the missing."""
    ref, draft = sandbox.add_run("live"), sandbox.add_draft()
    async with session(sandbox) as fielding:
        project = fielding.project(101, sandbox.project_id)
        job = await project.pause([ref.target_group_id])
        drafted = await project.target_group(draft.target_group_id).launch_from_draft(end_fielding_at=END)
    async with session(sandbox) as fielding:
        again = fielding.batch_job(
            101, sandbox.project_id, job.job_id, kind="pause", target_group_ids=(ref.target_group_id,)
        )
        assert (await again.wait()).updated == (ref.target_group_id,)
        assert again == fielding.batch_job(101, sandbox.project_id, job.job_id, kind="pause")
        assert hash(again) == hash(fielding.batch_job(101, sandbox.project_id, job.job_id, kind="pause"))
        rebuilt = fielding.draft_job(101, sandbox.project_id, draft.target_group_id, drafted.job_id, kind="launch")
        assert (await rebuilt.wait()).created_fielding_run_id
        for bad in ("a/b", ""):
            with pytest.raises(ConfigurationError, match="job_id"):
                fielding.batch_job(101, sandbox.project_id, bad, kind="pause")
        with pytest.raises(ConfigurationError, match="kind"):
            fielding.batch_job(101, sandbox.project_id, "j", kind="stop")  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", [Cut("before"), Status(503), Status(500), Cut("after")], ids=str)
async def test_a_lost_poll_costs_nothing(sandbox: Sandbox, fault: Cut | Status) -> None:
    """Polls that get lost, more than one exchange has attempts, do not end the wait."""
    ref = sandbox.add_run("live")
    async with session(sandbox, retry=Retry(max_attempts=1)) as fielding:
        job = await fielding.project(101, sandbox.project_id).pause([ref.target_group_id])
        sandbox.script(fault, on="bulk-pause-status")
        assert (await job.wait()).updated == (ref.target_group_id,)


async def test_a_404_shortly_after_creation_is_waited_out(sandbox: Sandbox) -> None:
    """A job that cannot be seen yet is not a job that does not exist; `status` tells it as it is."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        job = await fielding.project(101, sandbox.project_id).pause([ref.target_group_id])
        sandbox.script(Status(404), on="bulk-pause-status")
        assert (await job.wait()).status == "Completed"
        sandbox.script(Status(404), on="bulk-pause-status")
        with pytest.raises(NotFoundError):
            await job.status()


async def test_an_unknown_status_is_still_running(sandbox: Sandbox) -> None:
    """A job status that this version does not know means: go on waiting."""
    ref = sandbox.add_run("live")
    body = {"job_id": "j", "status": "Paused", "created_at": "2026-01-01T00:00:00.000Z", "created_by": "u"}
    reply = Reply(200, (("Retry-After", "0.2"),), json.dumps(body).encode())
    async with session(sandbox) as fielding:
        job = await fielding.project(101, sandbox.project_id).pause([ref.target_group_id])
        sandbox.script(reply, on="bulk-pause-status")
        assert (await job.wait()).status == "Completed"
    first, second = sent(sandbox, "bulk-pause-status")
    assert second.received_at - first.received_at >= 0.2


@pytest.mark.parametrize("fault", [Cut("after"), Cut("before"), Status(500), Status(500, applied=True)], ids=str)
async def test_one_key_and_the_same_bytes_on_every_retry(sandbox: Sandbox, fault: Cut | Status) -> None:
    """A creation whose reply is lost is sent again with the same key and body, and makes one job."""
    ref = sandbox.add_run("live")
    sandbox.script(fault, fault, on="bulk-pause")
    async with session(sandbox) as fielding:
        job = await fielding.project(101, sandbox.project_id).pause([ref.target_group_id])
        assert (await job.wait()).updated == (ref.target_group_id,)
    requests = sent(sandbox, "bulk-pause")
    assert len(requests) == 3
    assert {request.header("Idempotency-Key") for request in requests} == {job.idempotency_key}
    assert len({request.body for request in requests}) == 1
    assert len(sandbox.jobs) == 1


async def test_a_creation_without_a_reply_is_unknown_and_bears_its_key(sandbox: Sandbox) -> None:
    """When no reply ever came it is `OutcomeUnknownError` with the key, which can be used again after a crash."""
    ref = sandbox.add_run("live")
    sandbox.script(Cut("after"), Cut("after"), on="bulk-pause")
    async with session(sandbox, retry=Retry(max_attempts=2, base=0.001)) as fielding:
        project = fielding.project(101, sandbox.project_id)
        with pytest.raises(OutcomeUnknownError) as caught:
            await project.pause([ref.target_group_id])
        key = caught.value.idempotency_key
        assert key
        assert key in str(caught.value)
        job = await project.pause([ref.target_group_id], idempotency_key=key)
        assert job.idempotency_key == key
    assert len(sandbox.jobs) == 1


async def test_a_cancelled_creation_tells_its_key(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """A creation cancelled under way may still make its job: the note on the error and a warning bear the key."""
    ref = sandbox.add_run("live")
    hold = Hold()
    sandbox.script(hold, on="bulk-pause")
    async with session(sandbox) as fielding:
        task = asyncio.create_task(fielding.project(101, sandbox.project_id).pause([ref.target_group_id]))
        await hold.arrived()
        task.cancel()
        with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError) as caught:
            await task
        hold.release()
    key = sent(sandbox, "bulk-pause")[0].header("Idempotency-Key") or "none"
    assert key in "".join(caught.value.__notes__)
    assert key in caplog.text


async def test_a_creation_answered_with_5xx_throughout_is_a_server_error(sandbox: Sandbox) -> None:
    """When every attempt was answered with a 5xx of the exchange the error is `ServerError`, with the key."""
    sandbox.script(*[Status(503)] * 2, on="bulk-pause")
    async with session(sandbox, retry=Retry(max_attempts=2, base=0.001)) as fielding:
        with pytest.raises(ServerError) as caught:
            await fielding.project(101, sandbox.project_id).pause(["Z" * 26])
    assert caught.value.idempotency_key == sent(sandbox, "bulk-pause")[0].header("Idempotency-Key")


async def test_a_creation_that_a_gateway_answered_is_unknown(sandbox: Sandbox) -> None:
    """A 504 says that something behind it did not answer in time: the job may have been made."""
    sandbox.script(*[Status(504)] * 2, on="bulk-pause")
    async with session(sandbox, retry=Retry(max_attempts=2, base=0.001)) as fielding:
        with pytest.raises(OutcomeUnknownError) as caught:
            await fielding.project(101, sandbox.project_id).pause(["Z" * 26])
    assert caught.value.idempotency_key == sent(sandbox, "bulk-pause")[0].header("Idempotency-Key")


@pytest.mark.parametrize("form", ["published", "url", "path", "id"])
async def test_every_form_of_location_leads_to_our_own_origin(form: Any) -> None:
    """Of a `Location`, be it of another host, only the job id is used."""
    async with Sandbox(require_token=TOKEN, behaviour=Behaviour(location=form)) as box:
        ref = box.add_run("live")
        async with session(box) as fielding:
            job = await fielding.project(101, box.project_id).pause([ref.target_group_id])
            assert (await job.wait()).status == "Completed"
        assert [request.status for request in box.requests] == [201, 200]


@pytest.mark.parametrize("location", [None, "", "https://evil.example/", "/", "/v1/jobs/..", "a b", "x" * 5000])
async def test_a_location_without_an_id_is_a_protocol_error(sandbox: Sandbox, location: str | None) -> None:
    """A job whose id cannot be read is a `ProtocolError` that bears the key; nothing is sent anywhere else."""
    fault = DropHeader("Location") if location is None else SetHeader("Location", location)
    ref = sandbox.add_run("live")
    sandbox.script(fault, on="bulk-pause")
    async with session(sandbox) as fielding:
        with pytest.raises(ProtocolError, match="Location") as caught:
            await fielding.project(101, sandbox.project_id).pause([ref.target_group_id])
    assert caught.value.idempotency_key
    assert len(sandbox.requests) == 1


@pytest.mark.slow
async def test_a_large_job_survives_lost_replies(sandbox: Sandbox) -> None:
    """Bulk jobs of 5,000 target groups, with a tenth of the replies dropped: each ends with exactly one job made, and
    every id in `updated`, `failed` or `missing`.
    """
    refs = [sandbox.add_run("live" if number % 7 else "completed") for number in range(4900)]
    ids = [ref.target_group_id for ref in refs] + [f"{number:0>26}" for number in range(100)]
    omitted = ids[10:20]
    dice = random.Random(4)
    dropped = 0
    async with session(sandbox) as fielding:
        for made in range(1, 21):
            drops = [0, 0]
            for position in (0, 1):
                while dice.random() < 0.1:
                    drops[position] += 1
            dropped += sum(drops)
            # what a job leaves out is decided when it is made: by the first request to get through
            first: tuple[Fault, ...] = (JobOmits(tuple(omitted)), *[Cut("after")] * min(drops[0], 1))
            sandbox.script(first, *[Cut("after")] * (drops[0] - 1), on="bulk-pause")
            sandbox.script(*[Cut(dice.choice(("after", "headers", "body")))] * drops[1], on="bulk-pause-status")
            job = await fielding.project(101, sandbox.project_id).pause(ids)
            result = await job.wait()
            assert len(sandbox.jobs) == made
            named = [*result.updated, *(group.target_group_id for group in result.failed), *result.missing]
            assert sorted(named) == sorted(ids)
            assert set(result.missing) == set(omitted)
            assert len(result.failed) >= 700
    assert 2 <= dropped <= 12

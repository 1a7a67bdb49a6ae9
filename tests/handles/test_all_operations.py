"""All operations over a socket: success, and each documented error."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from attrs import frozen

from fielding_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    FieldingSession,
    InvalidRunStateError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    RateLimitError,
    Retry,
    RunRef,
    ServerError,
    Timeout,
)
from fielding_async.core.wire.operations import BY_NAME, DISCOVERY, OPERATIONS
from fielding_async.sandbox import Sandbox, Status
from tests.tools.sessions import END, sent, session

CLASSES: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    412: PreconditionFailedError,
    422: InvalidRunStateError,
    429: RateLimitError,
    500: ServerError,
}


@frozen
class Place:
    """Where an operation is tried: a run, a draft, and jobs made before."""

    ref: RunRef
    draft: str
    jobs: dict[str, str]


Attempt = Callable[[FieldingSession, Place], Awaitable[object]]
KINDS = ("launch", "pause", "resume", "complete", "relaunch")
STATES = {"launch-now": "scheduled", "resume": "paused", "relaunch": "completed"}
STATES |= {"bulk-launch": "scheduled", "bulk-resume": "paused", "bulk-relaunch": "completed"}


def calls() -> dict[str, Attempt]:
    """Return how each operation is called, by its name."""
    found: dict[str, Attempt] = {
        "list": lambda f, p: f.project(101, p.ref.project_id).target_group(p.ref.target_group_id).list_runs(),
        "get": lambda f, p: f.run(p.ref).get(),
        "update": lambda f, p: f.run(p.ref).update(end_fielding_at=END),
        "launch-now": lambda f, p: f.run(p.ref).launch_now(),
        "pause": lambda f, p: f.run(p.ref).pause(),
        "resume": lambda f, p: f.run(p.ref).resume(),
        "complete": lambda f, p: f.run(p.ref).complete(),
        "relaunch": lambda f, p: f.run(p.ref).relaunch(),
        "launch-from-draft": lambda f, p: (
            f.project(101, p.ref.project_id).target_group(p.draft).launch_from_draft(end_fielding_at=END)
        ),
        "schedule-from-draft": lambda f, p: (
            f.project(101, p.ref.project_id)
            .target_group(p.draft)
            .schedule_from_draft(start_fielding_at=END - timedelta(days=1), end_fielding_at=END)
        ),
    }
    found |= {
        "list-accounts": lambda f, p: f.list_accounts(),
        "list-projects": lambda f, p: f.account(101).list_projects(),
        "get-project": lambda f, p: f.project(101, p.ref.project_id).get(),
        "project-overview": lambda f, p: f.project(101, p.ref.project_id).overview(),
        "list-target-groups": lambda f, p: f.project(101, p.ref.project_id).list_target_groups(),
        "target-group-overview": lambda f, p: (
            f.project(101, p.ref.project_id).target_group(p.ref.target_group_id).overview()
        ),
        "list-changes": lambda f, p: (
            f.project(101, p.ref.project_id).target_group(p.ref.target_group_id).list_changes()
        ),
    }
    for kind in ("launch", "schedule"):
        name = f"{kind}-from-draft"
        found[f"{name}-status"] = lambda f, p, kind=kind, name=name: f.draft_job(  # type: ignore[misc]
            101, p.ref.project_id, p.draft, p.jobs[name], kind=kind
        ).status()
    for kind in KINDS:
        found[f"bulk-{kind}"] = lambda f, p, kind=kind: getattr(f.project(101, p.ref.project_id), kind)(  # type: ignore[misc]
            [p.ref.target_group_id]
        )
        found[f"bulk-{kind}-status"] = lambda f, p, kind=kind: f.batch_job(  # type: ignore[misc]
            101, p.ref.project_id, p.jobs[f"bulk-{kind}"], kind=kind
        ).status()
    return found


CALLS = calls()
ALL = (*OPERATIONS, *DISCOVERY)


def documented_errors(name: str) -> list[int]:
    """Return the error statuses that the document lists for an operation."""
    if name == "list-accounts":
        return [400, 401, 403, 500]
    if name.startswith("bulk-") or BY_NAME[name] in DISCOVERY:
        return [400, 401, 403, 404, 500]
    if name in {"launch-from-draft", "schedule-from-draft"}:
        return [400, 401, 403, 429, 500]
    if name in {"update", "launch-now", "pause", "resume", "complete", "relaunch"}:
        return [400, 401, 403, 404, 412, 422, 429, 500]
    return [400, 401, 403, 404, 429, 500]


async def place(sandbox: Sandbox, fielding: FieldingSession, name: str) -> Place:
    """Set the stage for an operation."""
    ref = sandbox.add_run(STATES.get(name.removesuffix("-status"), "live"))
    draft = sandbox.add_draft().target_group_id
    jobs: dict[str, str] = {}
    if name.endswith("-status"):
        made = name.removesuffix("-status")
        job = await CALLS[made](fielding, Place(ref, draft, {}))
        jobs[made] = job.job_id  # type: ignore[attr-defined]
    return Place(ref, draft, jobs)


def test_there_are_22_and_those_of_discovery() -> None:
    """The calls tried here are all there are."""
    assert len(OPERATIONS) == 22
    assert set(CALLS) == {row.name for row in ALL}


@pytest.mark.parametrize("name", [row.name for row in ALL])
async def test_an_operation_succeeds(sandbox: Sandbox, name: str) -> None:
    """Each operation reaches its endpoint and gets the documented success."""
    async with session(sandbox) as fielding:
        stage = await place(sandbox, fielding, name)
        assert await CALLS[name](fielding, stage) is not None
    (request,) = sent(sandbox, name)
    row = BY_NAME[name]
    assert (request.method, request.status) == (row.method, row.success)


@pytest.mark.parametrize(
    ("name", "status"),
    [(row.name, status) for row in ALL for status in documented_errors(row.name)],
    ids=[f"{row.name}-{status}" for row in ALL for status in documented_errors(row.name)],
)
async def test_an_operation_meets_each_documented_error(sandbox: Sandbox, name: str, status: int) -> None:
    """Each documented error of each operation becomes its class, with method, path, trace id and the body's fields."""
    quick = Retry(max_attempts=2, base=0.001, conflict_base=0.001)
    # shorter than the pause that the 429 will ask for
    async with session(sandbox, retry=quick, timeout=Timeout(total=10)) as fielding:
        stage = await place(sandbox, fielding, name)
        if status == 412:
            # a 412 is answered by looking; it is raised where the caller says so, and the run has moved on
            await fielding.run(stage.ref).get()
            sandbox.touch(stage.ref)
            with pytest.raises(PreconditionFailedError) as refused:
                await conflicting(name, fielding, stage)
            assert refused.value.object == "precondition_failed_error"
            return
        fault = Status(status, retry_after="30") if status == 429 else Status(status)
        sandbox.script(*[fault] * (2 if status == 500 else 1), on=name)
        with pytest.raises(CLASSES[status]) as caught:
            await CALLS[name](fielding, stage)
    error = caught.value
    assert error.status == status
    assert error.object
    assert error.detail
    request = sent(sandbox, name)[-1]
    assert (error.method, error.path) == (request.method, request.path.removeprefix("/v1").partition("?")[0])
    assert error.trace_id is not None
    assert error.trace_id in (request.header("traceparent") or "")


async def conflicting(name: str, fielding: FieldingSession, stage: Place) -> object:
    """Call a run action that refuses to go on after a conflict."""
    run = fielding.run(stage.ref)
    if name == "update":
        return await run.update(end_fielding_at=END, on_conflict="raise")
    method = getattr(run, name.replace("-", "_"))
    return await method(on_conflict="raise")

"""Checked by the type checkers, never run: what users write, and what type they get."""

from datetime import UTC, datetime, timedelta
from typing import assert_type

from fielding_async import (
    BatchJob,
    BatchResult,
    ClientCredentials,
    Complete,
    DraftJob,
    DraftResult,
    FieldingRun,
    FieldingSession,
    Limits,
    Outcome,
    OutcomeUnknownError,
    PreconditionFailedError,
    Project,
    Run,
    RunRef,
    TargetGroup,
    Update,
)
from fielding_async.sandbox import Sandbox


async def token() -> str:
    return "token"


async def use() -> None:
    FieldingSession("token")
    FieldingSession(token)
    FieldingSession(ClientCredentials("id", "secret"), limits=Limits(8, rate=10))
    FieldingSession(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with FieldingSession() as fielding:
        assert_type(fielding, FieldingSession)
        run = fielding.run(101, "p", "t", "r")
        assert_type(run, Run)
        assert_type(fielding.run(run.ref), Run)
        assert_type(run.ref, RunRef)
        seen = await run.get(timeout=5)
        assert_type(seen, FieldingRun)
        assert_type(seen.etag, str | None)
        outcome = await run.launch_now(seen=seen, on_conflict="raise", timeout=None)
        assert_type(outcome, Outcome)
        await run.update(end_fielding_at=datetime.now(UTC))
        await run.update(lambda now: Update(end_fielding_at=now.end_fielding_at + timedelta(days=2)))
        await run.update(lambda _: None)
        await run.update(5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
        await run.pause(on_conflict="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await run.perform(Complete())
        project = fielding.project(101, "p")
        assert_type(project, Project)
        group = project.target_group("t")
        assert_type(group, TargetGroup)
        assert_type(await group.list_runs(), list[FieldingRun])
        draft = await group.launch_from_draft(end_fielding_at=datetime.now(UTC))
        assert_type(draft, DraftJob)
        assert_type(await draft.wait(on_poll=lambda result: None), DraftResult)
        job = await project.relaunch(entry for entry in ["t"])
        assert_type(job, BatchJob)
        result = await job.wait(timeout=60, on_poll=poll)
        assert_type(result, BatchResult)
        assert_type(result.missing, tuple[str, ...])


async def poll(result: BatchResult) -> None:
    assert_type(result.status, str)


def errors(error: Exception) -> None:
    if isinstance(error, OutcomeUnknownError):
        assert_type(error.current, FieldingRun | None)
        assert_type(error.trace_id, str | None)
    if isinstance(error, PreconditionFailedError):
        assert_type(error.status, int)


def box() -> None:
    with Sandbox() as sandbox:
        assert_type(sandbox.url, str)
        assert_type(sandbox.add_run(), RunRef)

"""Checked by the type checkers, never run: what users write, and what type they get."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import assert_type

from fielding_async import (
    Action,
    Batch,
    BatchJob,
    BatchResult,
    ClientCredentials,
    Complete,
    Done,
    DraftJob,
    DraftResult,
    FieldingRun,
    FieldingSession,
    JournalCounts,
    JournalEvent,
    JournalRow,
    JournalSummary,
    Leftover,
    Limits,
    Outcome,
    OutcomeUnknownError,
    Pause,
    PerformAll,
    PreconditionFailedError,
    Project,
    Run,
    RunRef,
    TargetGroup,
    Update,
    journal_events,
    journal_rows,
    read_journal,
    trace_context,
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


async def handle(fielding: FieldingSession, headers: dict[str, str], scope: list[tuple[bytes, bytes]]) -> None:
    with trace_context(headers) as nothing:
        assert_type(nothing, None)
    with trace_context(scope):
        await fielding.run(101, "p", "t", "r").get()
    trace_context(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


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


async def rows(refs: list[RunRef]) -> AsyncIterator[tuple[RunRef, Action]]:
    for ref in refs:
        yield ref, Complete()


async def batches(fielding: FieldingSession, refs: list[RunRef]) -> None:
    assert_type(fielding.perform_all(rows(refs)), PerformAll)
    fielding.perform_all([(ref, Pause()) for ref in refs], journal="rows.journal", plan="digest")
    fielding.perform_all(zip(refs, [Update()], strict=True), on_row_failure="continue", stop="cancel")
    fielding.perform_all(refs)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fielding.perform_all([], stop="now")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with fielding.perform_all((ref, Complete()) for ref in refs) as batch:
        assert_type(batch, Batch)
        async for done in batch:
            assert_type(done, Done)
            assert_type(done.ref, RunRef)
            assert_type(done.outcome, Outcome | None)
            assert_type(done.error, Exception | None)
            assert_type(done.result(), Outcome)
            batch.stop(cancel=True)
        assert_type(batch.leftover, tuple[Leftover, ...])
        assert_type(batch.earlier, JournalCounts)
    assert_type(read_journal("rows.journal"), JournalSummary)
    assert_type(journal_rows("rows.journal"), Iterator[JournalRow])
    assert_type(journal_rows("rows.journal", all=True), Iterator[JournalRow])
    assert_type(journal_events("rows.journal"), Iterator[JournalEvent])

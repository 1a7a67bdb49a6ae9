"""Checked by the type checkers, never run: what users write, and what type they get."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, assert_type

from attrs import evolve

from fielding_async import (
    DEFAULT_TIMEOUT,
    Account,
    AccountItem,
    Action,
    Assistant,
    AssistantOutcome,
    Batch,
    BatchJob,
    BatchResult,
    ClientCredentials,
    Complete,
    Done,
    DoneWithError,
    DoneWithOutcome,
    DraftJob,
    DraftResult,
    DynamicPricing,
    Effect,
    FieldingAssistant,
    FieldingRun,
    FieldingSession,
    FoundRun,
    JournalCounts,
    JournalEvent,
    JournalRow,
    JournalSummary,
    Leftover,
    LeftoverState,
    Limits,
    Listing,
    Money,
    OnConflict,
    OnRowFailure,
    OtherModule,
    Outcome,
    OutcomeUnknownError,
    Pause,
    PerformAll,
    PreconditionFailedError,
    Project,
    ProjectDetails,
    ProjectItem,
    ProjectOverview,
    RateCardPricing,
    RawResponse,
    Run,
    RunRef,
    StopMode,
    TargetGroup,
    TargetGroupChange,
    TargetGroupItem,
    TargetGroupOverview,
    TargetGroupStatus,
    TimeoutArg,
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
    FieldingSession(ClientCredentials("id", "secret"), limits=Limits(concurrency=8, rate=10))
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
        await run.update(Update(end_fielding_at=datetime.now(UTC)), seen=seen)
        await run.perform(Complete())
        project = fielding.project(101, "p")
        assert_type(project, Project)
        group = project.target_group("t")
        assert_type(group, TargetGroup)
        assert_type(await group.list_runs(), list[FieldingRun])
        assert_type(fielding.run("101/p/t/r"), Run)
        assert_type(RunRef.parse("101/p/t/r"), RunRef)
        draft = await group.launch_from_draft(end_fielding_at=datetime.now(UTC))
        assert_type(draft, DraftJob)
        assert_type(await draft.wait(on_poll=lambda result: None), DraftResult)
        job = await project.relaunch(entry for entry in ["t"])
        assert_type(job, BatchJob)
        result = await job.wait(timeout=60, on_poll=poll)
        assert_type(result, BatchResult)
        assert_type(result.missing, tuple[str, ...])


async def find(fielding: FieldingSession, project: Project, group: TargetGroup) -> None:
    assert_type(fielding.account(101), Account)
    assert_type(fielding.list_accounts(), Listing[AccountItem])
    assert_type(await fielding.account(101).list_projects(status="active").all(), list[ProjectItem])
    assert_type(await project.get(), ProjectDetails)
    assert_type(await project.overview(), ProjectOverview)
    async for item in project.list_target_groups(status=["live", TargetGroupStatus.PAUSED], country="us", page_size=5):
        assert_type(item, TargetGroupItem)
        assert_type(item.statistics.average_cost_per_interview, Money | None)
        assert_type(item.created_at, datetime | None)
    assert_type(await group.overview(), TargetGroupOverview)
    assert_type(await group.list_changes(types="status_change"), list[TargetGroupChange])
    async for found in project.find_runs(status="live", where=lambda found: found.run.version):
        assert_type(found, FoundRun)
        assert_type(found.ref, RunRef)
        assert_type(found.run, FieldingRun)
    assert_type(aiter(project.find_runs()).vanished, int)
    fielding.perform_all((found.ref, Pause()) async for found in project.find_runs())


async def others(fielding: FieldingSession) -> None:
    reply = await fielding.request("GET", "/demand/accounts", params={"page_size": 5, "id": ["a", "b"]}, timeout=None)
    assert_type(reply, RawResponse)
    assert_type(reply.headers["ETag"], str)
    await fielding.request("PUT", "/x", json=[1, None], headers=[("If-Match", "1")], params=(("a", True),))


async def poll(result: BatchResult) -> None:
    assert_type(result.status, str)


async def handle(fielding: FieldingSession, headers: dict[str, str], scope: list[tuple[bytes, bytes]]) -> None:
    with trace_context(headers) as nothing:
        assert_type(nothing, None)
    with trace_context(scope):
        await fielding.run(101, "p", "t", "r").get()


def errors(error: Exception) -> None:
    if isinstance(error, OutcomeUnknownError):
        assert_type(error.current, FieldingRun | Any | None)
        assert_type(error.trace_id, str | None)
    if isinstance(error, PreconditionFailedError):
        assert_type(error.status, int)
        assert_type(error.wanted, Action | Any | None)


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
    async with fielding.perform_all((ref, Complete()) for ref in refs) as batch:
        assert_type(batch, Batch)
        async for done in batch:
            assert_type(done, Done)
            assert_type(done.ref, RunRef)
            assert_type(done.action, Action | Any)
            assert_type(done.outcome, Outcome | None)
            assert_type(done.error, Exception | None)
            assert_type(told(done), str)
            batch.stop(cancel=True)
        assert_type(batch.leftover, tuple[Leftover, ...])
        assert_type(batch.earlier, JournalCounts)
    assert_type(read_journal("rows.journal"), JournalSummary)
    assert_type(journal_rows("rows.journal"), Iterator[JournalRow])
    assert_type(journal_rows("rows.journal", all=True), Iterator[JournalRow])
    assert_type(journal_events("rows.journal"), Iterator[JournalEvent])


def told(done: Done) -> str:
    """Narrow a row by its error, by its outcome, by its class and by a pattern."""
    if done.error is None:
        assert_type(done, DoneWithOutcome)
        assert_type(done.outcome, Outcome)
        return done.outcome.effect
    assert_type(done, DoneWithError)
    assert_type(done.error, Exception)
    assert_type(done.outcome, None)
    return str(done.error)


def told_otherwise(done: Done, value: object) -> str:
    if done.outcome is not None:
        assert_type(done.outcome.effect, Effect)
    else:
        assert_type(done.error, Exception)
    if isinstance(value, Done):
        assert_type(value.number, int)
    match done:
        case DoneWithOutcome(outcome=outcome):
            return outcome.effect
        case DoneWithError(error=error):
            return str(error)


def printed(done: Done) -> None:
    print(done.ref, done.outcome.effect if done.error is None else done.error)


def result_of(done: Done) -> Outcome:
    return done.result()


def asked(action: Action) -> str:
    match action:
        case Update(end_fielding_at=end):
            assert_type(end, datetime | None)
            return f"move to {end}"
        case Pause() | Complete():
            return "stop"
        case _:
            return action.name


async def wrapped(
    run: Run,
    action: Action,
    *,
    seen: FieldingRun | None = None,
    on_conflict: OnConflict = "reapply",
    timeout: TimeoutArg = DEFAULT_TIMEOUT,
) -> Effect:
    """A function around `run.perform` with all that it takes, typed with public names only."""
    outcome = await run.perform(action, seen=seen, on_conflict=on_conflict, timeout=timeout)
    assert_type(outcome.action, Action | None)
    return outcome.effect


async def wrapped_batch(
    fielding: FieldingSession,
    refs: list[RunRef],
    *,
    on_row_failure: OnRowFailure = "skip",
    stop: StopMode = "drain",
    stop_on: Callable[[Done], object] | None = None,
) -> tuple[Leftover, ...]:
    actions = [Pause(), Update(end_fielding_at=datetime.now(UTC)), Complete()]
    pairs = list(product(refs, actions))
    batch = fielding.perform_all(pairs, on_row_failure=on_row_failure, stop=stop, stop_on=stop_on)
    async with batch as rows_of_batch:
        await anext(rows_of_batch)
    for left in rows_of_batch.leftover:
        assert_type(left.state, LeftoverState)
        assert_type(left.done, Done | None)
    mixed: list[tuple[RunRef, Action]] = [(refs[0], Pause()), (refs[0], Update(end_fielding_at=datetime.now(UTC)))]
    fielding.perform_all(mixed)
    return rows_of_batch.leftover


async def assistant_of(group: TargetGroup, change: Callable[[FieldingAssistant], FieldingAssistant | None]) -> None:
    assert_type(group.assistant, Assistant)
    now = await group.assistant.get()
    assert_type(now, FieldingAssistant)
    assert_type(now.pricing, DynamicPricing | RateCardPricing | OtherModule | None)
    assert_type(await group.assistant.update(change, timeout=5), AssistantOutcome)
    outcome = await group.assistant.update(evolve(now, soft_launch=None), seen=now)
    assert_type(outcome.assistant, FieldingAssistant)
    assert_type(outcome.etag, str | None)

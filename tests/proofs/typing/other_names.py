"""Checked by the type checkers, never run: the public names that `api` does not use, as users write them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from procrastinate import App
from taskiq_redis import RedisStreamBroker

from fielding_async import (
    DEFAULT_TIMEOUT,
    Action,
    AdaptivePacing,
    APIError,
    AssistantChange,
    AssistantRef,
    Auth,
    AuthenticationError,
    BadRequestError,
    Batch,
    BatchResult,
    BearerToken,
    Change,
    ClientCredentials,
    Complete,
    ConfigurationError,
    DeadlineExceededError,
    DefaultTimeout,
    DraftResult,
    FailedTargetGroup,
    Failure,
    FailureDetail,
    FieldingAssistant,
    FieldingError,
    FieldingRun,
    FieldingSession,
    FoundRun,
    FoundRuns,
    FoundRunsIterator,
    GeminiPacing,
    IncomingHeaders,
    InvalidParam,
    InvalidRunStateError,
    IssueSuggestion,
    JobFailedError,
    JobResult,
    JournalError,
    JournalEvent,
    JournalEventKind,
    JournalRow,
    JournalRowState,
    JsonNumber,
    LaunchNow,
    Limits,
    LinearPacing,
    Listing,
    ListingIterator,
    NotFoundError,
    Outage,
    OutcomeUnknownTimeoutError,
    Pause,
    PermissionDeniedError,
    Project,
    ProjectOverview,
    ProjectStatistics,
    ProjectStatus,
    ProtocolError,
    QuotaOverlay,
    RateLimitError,
    RawResponse,
    Relaunch,
    ResponseHeaders,
    Resume,
    Retry,
    Run,
    RunRef,
    RunStatus,
    ServerError,
    SessionClosedError,
    SessionStats,
    SkippedError,
    SoftLaunch,
    StatisticIssue,
    TargetGroupItem,
    TargetGroupOverview,
    TargetGroupProgress,
    TargetGroupStatistics,
    Timeout,
    TokenSource,
    TransportError,
    Update,
    __version__,
    trace_context,
)
from fielding_async.coordination import Shared
from fielding_async.plans import (
    Guarded,
    LateRow,
    LateState,
    NotUndone,
    PlanPairs,
    PlanReport,
    PlanRow,
    PlanState,
    PlanStatus,
    PlanWorker,
    PostgresPlans,
    Submitted,
    UndoPlan,
    UndoRow,
    Worked,
)
from fielding_async.queues import procrastinate, taskiq
from fielding_async.queues.procrastinate import PlanTasks as ProcrastinateTasks
from fielding_async.queues.procrastinate import add_plan_tasks as add_to_procrastinate
from fielding_async.queues.taskiq import PlanTasks as TaskiqTasks
from fielding_async.queues.taskiq import add_plan_tasks as add_to_taskiq
from fielding_async.sandbox import (
    AssistantState,
    AssistantWrite,
    BeforeFirst,
    Behaviour,
    Cut,
    DateForm,
    Delay,
    DraftRef,
    DropHeader,
    EndlessLists,
    ExchangePauses,
    FailureReason,
    Fault,
    Hold,
    JobFails,
    JobFailure,
    JobOmits,
    JobRecord,
    KeyReuse,
    LastCursor,
    LimiterKind,
    LocationForm,
    RawReply,
    ReceivedRequest,
    Refuse,
    Repeat,
    RepeatAnswer,
    Reply,
    RetryAfter,
    RetryAfterForm,
    RunHandle,
    Sandbox,
    SecondWriter,
    SetHeader,
    Status,
    Write,
    WriteOrigin,
)
from fielding_async.webhooks import WebhookVerificationError, verify


def opened(auth: Auth | None = None) -> FieldingSession:
    print(__version__)
    auth = auth or BearerToken("token") or ClientCredentials("id", "secret")
    session = FieldingSession(
        auth,
        limits=Limits(concurrency=8, rate=10.0),
        retry=Retry(max_attempts=3),
        timeout=Timeout(total=None, queue=5),
        name="nightly",
        shared=Shared("redis://localhost", scope="nightly", expected=4),
    )
    stats = session.stats()
    assert_type(stats, SessionStats)
    assert_type(stats.pace, float | None)
    return session


def all_actions(end: datetime) -> list[Action]:
    return [LaunchNow(), Pause(), Resume(), Complete(), Relaunch(), Update(end_fielding_at=end)]


def longer(by: timedelta) -> Change:
    return lambda now: Update(end_fielding_at=now.end_fielding_at + by)


def seconds_left(deadline: float | None) -> float | DefaultTimeout:
    return DEFAULT_TIMEOUT if deadline is None else deadline


def cause_of(error: FieldingError) -> str:
    assert_type(error.ref, RunRef | None)
    match error:
        case PermissionDeniedError() | AuthenticationError() | NotFoundError() | BadRequestError() | ServerError():
            assert_type(error.invalid_params, tuple[InvalidParam, ...])
            return error.detail or ", ".join(f"{param.name}: {param.reason}" for param in error.invalid_params)
        case RateLimitError():
            assert_type(error.retry_after, float | None)
        case InvalidRunStateError():
            assert_type(error.current, FieldingRun | Any | None)
        case APIError():
            assert_type(error.status, int)
        case DeadlineExceededError():
            assert_type(error.conflicts, int)
        case ProtocolError():
            assert_type(error.status, int | None)
        case TransportError():
            assert_type(error.is_final, bool)
        case JobFailedError():
            assert_type(error.result, JobResult)
        case SkippedError():
            assert_type(error.because, BaseException)
        case OutcomeUnknownTimeoutError() | ConfigurationError() | SessionClosedError() | JournalError():
            pass
        case _:
            pass
    return error.message


def job_ended(result: BatchResult | DraftResult) -> list[str]:
    assert_type(result.ended, bool)
    if isinstance(result, BatchResult):
        result.raise_for_failures()
        failed: tuple[FailedTargetGroup, ...] = result.failed
        return [group.target_group_id for group in failed]
    failure: Failure | None = result.failure
    details: tuple[FailureDetail, ...] = failure.reasons if failure else ()
    return [detail.reason or "" for detail in details]


async def found(project: Project, runs: FoundRuns, listing: Listing[FieldingRun]) -> None:
    iterator: FoundRunsIterator = aiter(runs)
    assert_type(await anext(iterator), FoundRun)
    await iterator.aclose()
    pages: ListingIterator[FieldingRun] = aiter(listing)
    assert_type((await anext(pages)).status, str)
    overview = await project.overview()
    assert_type(overview, ProjectOverview)
    assert_type(overview.statistics, ProjectStatistics)
    assert_type(overview.status == ProjectStatus.ACTIVE, bool)
    print(RunStatus.LIVE.value, RunStatus("live"))


def shown(overview: TargetGroupOverview, item: TargetGroupItem, batch: Batch) -> None:
    progress: TargetGroupProgress = overview.progress
    statistics: TargetGroupStatistics = item.statistics
    issues: tuple[StatisticIssue, ...] = statistics.issues
    suggestions: list[IssueSuggestion] = [suggestion for issue in issues for suggestion in issue.suggestions]
    print(progress, suggestions)
    outage: Outage | None = batch.outage
    if outage is not None:
        assert_type(outage.next_probe_in, float | None)


def headers_of(reply: RawResponse) -> ResponseHeaders:
    return reply.headers


def assistants(now: FieldingAssistant) -> AssistantChange:
    assert_type(now.pacing is None or isinstance(now.pacing, LinearPacing | AdaptivePacing | GeminiPacing), bool)
    assert_type(isinstance(now.quota_overlay, QuotaOverlay) or isinstance(now.soft_launch, SoftLaunch), bool)
    assert_type(str(AssistantRef(101, "p", "t")), str)
    assert_type(int(JsonNumber("5")), int)
    return lambda assistant: None if assistant.is_empty else assistant


async def plans(fielding: FieldingSession, refs: list[RunRef]) -> PlanReport:
    async with PostgresPlans("postgresql://localhost/plans") as store:
        submitted = await store.submit(((ref, Guarded(Pause(), 'W/"1"')) for ref in refs), plan="nightly")
        assert_type(submitted, Submitted)
        assert_type(submitted.is_new, bool)
        worked = await store.work(fielding, "nightly", seconds=5)
        assert_type(worked, Worked)
        assert_type(worked.left, int)
        status = await store.status("nightly")
        assert_type(status, PlanStatus)
        assert_type(status.state, PlanState)
        workers: tuple[PlanWorker, ...] = status.workers
        print([worker.lease_left for worker in workers])
        async for row in store.rows("nightly", all=True):
            assert_type(row, PlanRow)
            late: tuple[LateRow, ...] = row.late
            print(late)
        undo = await store.undo("nightly")
        assert_type(undo, UndoPlan)
        undone: tuple[UndoRow, ...] = undo.rows
        others: tuple[NotUndone, ...] = undo.listed
        print(undone, others)
        return await store.report("nightly")


async def queues(app: App, broker: RedisStreamBroker) -> None:
    assert_type(add_to_procrastinate(app), ProcrastinateTasks)
    tasks = add_to_taskiq(broker)
    assert_type(tasks, TaskiqTasks)
    assert_type(await tasks.start("nightly"), int)
    print(procrastinate.PlanTasks, taskiq.PlanTasks)


def faults(hold: Hold) -> list[Fault]:
    return [
        Status(503, retry_after="1"),
        Cut("after"),
        Delay(0.1),
        DropHeader("ETag"),
        SetHeader("Age", "5"),
        ExchangePauses("before"),
        JobFails(JobFailure(code="code", description="text", reasons=(FailureReason(name="n", reason="r"),))),
        JobOmits(("t",)),
        RawReply(b"HTTP/1.1 200 OK"),
        Refuse(),
        Repeat("first"),
        Reply(200, body=b"{}"),
        SecondWriter(status="paused"),
        hold,
    ]


def box(on_write: Callable[[Write], None]) -> None:
    with Sandbox(behaviour=Behaviour(job_seconds=5)) as sandbox:
        draft = sandbox.add_draft()
        assert_type(draft, DraftRef)
        state = sandbox.inspect_assistant(draft)
        assert_type(state, AssistantState)
        assert_type(sandbox.assistant_history, tuple[AssistantWrite, ...])
        assert_type(sandbox.requests, tuple[ReceivedRequest, ...])
        assert_type(sandbox.jobs, tuple[JobRecord, ...])
        for write in sandbox.history:
            on_write(write)


def boxes(
    location: LocationForm = "url",
    repeats: RepeatAnswer = "first",
    keys: KeyReuse = "refuse",
    cursor: LastCursor = "null",
    lists: EndlessLists = "never",
    dates: DateForm = "seconds",
    before: BeforeFirst = "empty",
) -> Behaviour:
    return Behaviour(
        location=location,
        repeat_requests=repeats,
        key_reuse=keys,
        last_cursor=cursor,
        endless_lists=lists,
        discovery_dates=dates,
        assistant_before_first=before,
    )


def touched(sandbox: Sandbox, run: Run) -> RunHandle:
    """A run's handle stands for its ref."""
    sandbox.touch(run)
    assert_type(sandbox.inspect(run), FieldingRun)
    return run


def limited(sandbox: Sandbox, kind: LimiterKind, form: RetryAfterForm, other: RetryAfter) -> list[WriteOrigin]:
    sandbox.rate_limit(5, kind=kind, retry_after=form)
    sandbox.in_flight_limit(3, retry_after=other)
    return [write.by for write in sandbox.history]


def traced(headers: IncomingHeaders, source: TokenSource) -> FieldingSession:
    with trace_context(headers):
        return FieldingSession(source)


def states(rows: list[JournalRow], events: list[JournalEvent]) -> tuple[list[JournalRowState], list[JournalEventKind]]:
    return [row.state for row in rows], [event.kind for event in events]


async def submitted(store: PostgresPlans, pairs: PlanPairs, late: LateRow) -> LateState:
    await store.submit(pairs, plan="nightly")
    return late.knew


def delivered(body: bytes, header: str, secret: str) -> datetime | None:
    try:
        return verify(body, header, secret, now=datetime.now(UTC).timestamp())
    except WebhookVerificationError:
        return None

"""Tasks for procrastinate that work on plans: `add_plan_tasks`.

    import os
    import procrastinate
    from fielding_async.queues.procrastinate import add_plan_tasks

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["FIELDING_PLANS_URL"]))
    plan_tasks = add_plan_tasks(app)

A job works on a plan for a slice of some seconds, and defers itself again while rows are left. A periodic job defers
them for each plan that is not finished. Jobs may get lost: one of a worker that crashed stays `doing`, and another one
takes its place. Jobs take no lock but a queueing lock, so that they do not pile up, and are never retried.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import frozen

from fielding_async import FieldingSession
from fielding_async.core.errors import ConfigurationError
from fielding_async.plans import PostgresPlans

from .worker_process import LANES, SECONDS, WorkerProcess, check_lanes, check_seconds

if TYPE_CHECKING:
    from procrastinate import App
    from procrastinate.tasks import Task

__all__ = ["PlanTasks", "add_plan_tasks"]

_EVERY_MINUTE = "* * * * *"


@frozen
class PlanTasks:
    """The tasks that `add_plan_tasks` has added to an app."""

    work: "Task[Any, Any, Any]"
    """The task that works on the plan `plan` for a slice, as job number `lane`, from 0."""
    ensure: "Task[Any, Any, Any]"
    """The periodic task that defers `work` for each plan that is not finished."""
    lanes: int
    """How many jobs of one plan wait in the queue at most, 1 to 1000."""

    async def start(self, plan: str) -> int:
        """Defer the jobs of a plan now, without waiting for `ensure`. Return how many of them were not in the queue
        yet."""
        return sum([await _defer(self.work, plan, lane) for lane in range(self.lanes)])


async def _defer(work: "Task[Any, Any, Any]", plan: str, lane: int, wait: float = 0.0) -> bool:
    """Defer a job, in so many seconds; return whether it was not in the queue yet."""
    from procrastinate.exceptions import AlreadyEnqueued

    job = work.configure(
        queueing_lock=f"fielding plan {plan}, lane {lane}",
        schedule_in={"milliseconds": round(wait * 1000)} if wait > 0 else None,
    )
    try:
        await job.defer_async(plan=plan, lane=lane)
    except AlreadyEnqueued:
        return False
    return True


def add_plan_tasks(
    app: "App",
    *,
    session: Callable[[], FieldingSession] = FieldingSession,
    plans: Callable[[], PostgresPlans] = PostgresPlans,
    seconds: float = SECONDS,
    lanes: int = LANES,
    queue: str = "fielding",
    cron: str = _EVERY_MINUTE,
) -> PlanTasks:
    """Add the tasks that work on plans to an app, and return them.

    `session`, `plans`: functions that return a new session and a new `PostgresPlans`. Each is called once in each
    worker process, at its first job. The defaults take their settings from the environment. `seconds`: the length of a
    slice, 1 to 3600. `lanes`: the greatest number of jobs of one plan that wait in the queue, 1 to 1000. It should be
    at least the number of worker processes. `queue`: the name of the queue. `cron`: when `ensure` searches for plans
    that are not finished. A sixth column can name seconds.

    Raises `ConfigurationError` for a bad argument, and if procrastinate is not installed.
    """
    try:
        from procrastinate import App
    except ImportError:
        raise ConfigurationError(
            "app: procrastinate is not installed: pip install 'fielding-async[procrastinate]'"
        ) from None
    if not isinstance(app, App):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"app: must be a procrastinate.App, not {type(app).__name__}")
    process = WorkerProcess(session, plans, check_seconds(seconds))
    width = check_lanes(lanes)

    @app.task(name="fielding_async.work", queue=queue)
    async def work(plan: str, lane: int) -> str:
        worked = await process.work(plan)
        if worked is None:
            await _defer(tasks.work, plan, lane, process.retry_in)
            return "cut short"
        if worked.left:
            await _defer(tasks.work, plan, lane, process.next_in(worked))
        return f"{worked.rows} rows, {worked.left} left"

    @app.periodic(cron=cron)
    @app.task(name="fielding_async.ensure", queue=queue, queueing_lock="fielding plans, ensure")
    async def ensure(timestamp: int) -> str:
        del timestamp
        names = await process.unfinished()
        return f"{len(names)} plans, {sum([await tasks.start(name) for name in names])} jobs"

    tasks = PlanTasks(work, ensure, width)
    return tasks

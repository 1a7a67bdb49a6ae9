"""Tasks for taskiq that work on plans, over a stream of Redis: `add_plan_tasks`.

    import os
    import taskiq
    import taskiq_redis
    from fielding_async.queues.taskiq import add_plan_tasks
    from taskiq.schedule_sources import LabelScheduleSource

    broker = taskiq_redis.RedisStreamBroker(os.environ["FIELDING_SHARED_URL"], xread_count=1)
    plan_tasks = add_plan_tasks(broker)
    scheduler = taskiq.TaskiqScheduler(broker, [LabelScheduleSource(broker)])

A job works on a plan for a slice of some seconds, and sends itself again while rows are left. A scheduled job sends
them for each plan that is not finished, so that jobs may get lost, and Redis with them. A key in Redis for each job
that waits in the stream keeps jobs from piling up. Jobs are never retried.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import frozen

from fielding_async import FieldingSession
from fielding_async.core.errors import ConfigurationError
from fielding_async.plans import PostgresPlans

from .worker_process import LANES, SECONDS, WorkerProcess, check_lanes, check_seconds

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from taskiq import AsyncTaskiqDecoratedTask
    from taskiq_redis import RedisStreamBroker

__all__ = ["PlanTasks", "add_plan_tasks"]

_EVERY_MINUTE = "* * * * *"
_LEAST_ROOM = 60.0  # seconds that the redelivery time is longer than a slice: an attempt drains, and clocks differ


@frozen
class PlanTasks:
    """The tasks that `add_plan_tasks` has added to a broker."""

    work: "AsyncTaskiqDecoratedTask[[str, int], Any]"
    """The task that works on the plan `plan` for a slice, as job number `lane`, from 0."""
    ensure: "AsyncTaskiqDecoratedTask[[], Any]"
    """The scheduled task that sends `work` for each plan that is not finished."""
    lanes: int
    """How many jobs of one plan wait in the stream at most, 1 to 1000."""
    _broker: "RedisStreamBroker"

    async def start(self, plan: str) -> int:
        """Send the jobs of a plan now, without waiting for `ensure`. Return how many of them were not in the stream
        yet.

        The broker must have been started.
        """
        return sum([await _send(self._broker, self.work, plan, lane) for lane in range(self.lanes)])


async def _send(
    broker: "RedisStreamBroker", work: "AsyncTaskiqDecoratedTask[[str, int], Any]", plan: str, lane: int
) -> bool:
    """Send a job; return whether it was not in the stream yet."""
    async with _redis(broker) as redis:
        if not await redis.set(_key(broker, plan, lane), "1", nx=True, px=broker.idle_timeout):
            return False
    await work.kiq(plan, lane)
    return True


async def _begin(broker: "RedisStreamBroker", plan: str, lane: int) -> None:
    """Take note that a job waits no more."""
    async with _redis(broker) as redis:
        await redis.delete(_key(broker, plan, lane))


def _key(broker: "RedisStreamBroker", plan: str, lane: int) -> str:
    return f"fielding:{broker.queue_name}:{lane}:{plan}"


def _redis(broker: "RedisStreamBroker") -> "Redis":
    from redis.asyncio import Redis

    return Redis(connection_pool=broker.connection_pool)


async def _check_redis(broker: "RedisStreamBroker") -> None:
    """End the process with one line if the broker's Redis cannot be reached."""
    from redis.exceptions import RedisError

    try:
        async with _redis(broker) as redis:
            await redis.ping()  # pyright: ignore[reportUnknownMemberType]
    except (RedisError, OSError) as problem:
        told = broker.connection_pool.connection_kwargs
        where = f"{told.get('host', 'localhost')}:{told.get('port', 6379)}" if "path" not in told else told["path"]
        raise SystemExit(f"fielding-async: the broker's Redis at {where} cannot be used: {problem}") from None


def add_plan_tasks(
    broker: "RedisStreamBroker",
    *,
    session: Callable[[], FieldingSession] = FieldingSession,
    plans: Callable[[], PostgresPlans] = PostgresPlans,
    seconds: float = SECONDS,
    lanes: int = LANES,
    cron: str = _EVERY_MINUTE,
) -> PlanTasks:
    """Add the tasks that work on plans to a broker, and return them.

    `broker`: a `RedisStreamBroker` with `xread_count=1` and an `idle_timeout` of at least `seconds` plus one minute.
    With a greater `xread_count`, one worker would take many jobs that other workers could do. Jobs without an end are
    delivered again after the `idle_timeout`. `session`, `plans`: functions that return a new session and a new
    `PostgresPlans`. Each is called once in each worker process, at its start. The defaults take their settings from the
    environment. `seconds`: the length of a slice, 1 to 3600. `lanes`: the greatest number of jobs of one plan that wait
    in the stream, 1 to 1000. It should be at least the number of worker processes. `cron`: when `ensure` searches for
    plans that are not finished.

    Raises `ConfigurationError` for a bad argument, and if taskiq or taskiq-redis is not installed.
    """
    try:
        from taskiq import TaskiqEvents, TaskiqState
        from taskiq_redis import RedisStreamBroker
    except ImportError as problem:
        raise ConfigurationError(
            f"broker: {(problem.name or 'taskiq').partition('.')[0]} is not installed:"
            " pip install 'fielding-async[taskiq]'"
        ) from None
    if not isinstance(broker, RedisStreamBroker):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"broker: must be a taskiq_redis.RedisStreamBroker, not {type(broker).__name__}, which may lose jobs"
        )
    if broker.count != 1:
        raise ConfigurationError(
            f"broker: xread_count is {broker.count}, and must be 1: RedisStreamBroker(…, xread_count=1); otherwise"
            " one worker takes many jobs at once"
        )
    length = check_seconds(seconds)
    least = round((length + _LEAST_ROOM) * 1000)
    if broker.idle_timeout < least:
        raise ConfigurationError(
            f"broker: idle_timeout is {broker.idle_timeout} ms, and must be at least {least}"
            f" with seconds={length:g}: RedisStreamBroker(…, idle_timeout={least}); otherwise a job is delivered again"
            " while it runs"
        )
    process = WorkerProcess(session, plans, length)
    width = check_lanes(lanes)

    @broker.task(task_name="fielding_async.work")
    async def work(plan: str, lane: int) -> str:
        await _begin(broker, plan, lane)
        worked = await process.work(plan)
        if worked is None:
            await process.wait(process.retry_in)
            await _send(broker, tasks.work, plan, lane)
            return "cut short"
        # where nothing can be done for long, as with a plan that is paused, `ensure` comes early enough
        if worked.left and (worked.held or worked.wait <= process.seconds):
            await process.wait(process.next_in(worked))
            await _send(broker, tasks.work, plan, lane)
        return f"{worked.rows} rows, {worked.left} left"

    @broker.task(task_name="fielding_async.ensure", schedule=[{"cron": cron}])
    async def ensure() -> str:
        names = await process.unfinished()
        return f"{len(names)} plans, {sum([await tasks.start(name) for name in names])} jobs"

    async def begin(state: TaskiqState) -> None:
        del state
        await _check_redis(broker)
        await process.open()

    async def end(state: TaskiqState) -> None:
        del state
        await process.aclose()

    broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, begin)
    broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, end)
    tasks = PlanTasks(work, ensure, width, broker)
    return tasks

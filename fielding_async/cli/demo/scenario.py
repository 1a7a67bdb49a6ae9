"""The demo itself: a sandbox on a thread of its own, a colleague on another, and the SDK in between."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from random import Random
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Self

import aiohttp
from attrs import define, field, frozen

from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, Update
from fielding_async.core.config import Limits
from fielding_async.core.errors import FieldingError
from fielding_async.core.job_results import BatchResult
from fielding_async.core.models import Outcome, RunRef
from fielding_async.sandbox import Behaviour, Sandbox
from fielding_async.session import FieldingSession

from .fault_plan import Plan, make_plan, strike

__all__ = ["RELAUNCH", "Play", "Step", "play"]

RELAUNCH = "bulk-relaunch"
_DOZEN = 12
_CONCURRENCY = 16


@frozen
class Step:
    """One action on one run, ended: with an outcome or an error."""

    ref: RunRef
    action: Action
    outcome: Outcome | None = None
    error: FieldingError | None = None


@define(eq=False)
class Play:
    """What has happened so far. Filled by `play`, read by the display and by the report."""

    sandbox: Sandbox
    refs: tuple[RunRef, ...]
    plan: Plan
    seed: int
    began: float = field(factory=monotonic)
    steps: list[Step] = field(factory=list)  # pyright: ignore[reportUnknownVariableType]
    relaunched: BatchResult | None = None
    relaunch_failure: str | None = None
    idempotency_key: str | None = None

    @property
    def to_relaunch(self) -> tuple[RunRef, ...]:
        """The runs that the bulk job is asked for."""
        return self.refs[:_DOZEN]


async def play(runs: int, seed: int, watch: Callable[[Play], None]) -> Play:
    """Perform the demo. `watch` is called once, with the play about to begin."""
    sandbox = Sandbox(seed=seed, require_token=True, behaviour=Behaviour(job_seconds=0.5))
    refs = tuple(sandbox.add_run() for _ in range(runs))
    play = Play(sandbox, refs, make_plan(refs, seed), seed)
    strike(sandbox, play.plan)
    with sandbox:
        # about as many requests as a run needs fit into half a dozen seconds, so that the limit is met again and again
        sandbox.rate_limit(max(4.0, runs * 1.6))
        watch(play)
        # a connector of our own leaves out the proxies that the environment may name; the rest is passed as arguments
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_CONCURRENCY)) as http,
            FieldingSession(
                sandbox.token,
                base_url=sandbox.url,
                http=http,
                # not adaptive: here 429s are to be met, not avoided
                limits=Limits(concurrency=_CONCURRENCY, adaptive=False),
            ) as fielding,
        ):
            with _Colleague(sandbox, play.plan.touched, seed):
                await asyncio.gather(*(_journey(fielding, play, ref, number) for number, ref in enumerate(refs)))
            await _relaunch(fielding, play)
    return play


async def _journey(fielding: FieldingSession, play: Play, ref: RunRef, number: int) -> None:
    """Take one run through all actions, up to one that fails."""
    closing = play.sandbox.now + timedelta(days=30, minutes=number)
    run = fielding.run(ref)
    actions: tuple[Action, ...] = (LaunchNow(), Update(end_fielding_at=closing), Pause(), Resume(), Complete())
    for action in actions:
        try:
            play.steps.append(Step(ref, action, outcome=await run.perform(action)))
        except FieldingError as error:
            play.steps.append(Step(ref, action, error=error))
            return


async def _relaunch(fielding: FieldingSession, play: Play) -> None:
    first = play.refs[0]
    groups = [ref.target_group_id for ref in play.to_relaunch]
    try:
        job = await fielding.project(first.account_id, first.project_id).relaunch(groups)
        play.idempotency_key = job.idempotency_key
        play.relaunched = await job.wait()
    except FieldingError as error:
        play.relaunch_failure = f"{Relaunch.name}: {type(error).__name__}: {error.message}"


class _Colleague:
    """Somebody else at work on the same runs, on a thread of his own: now and then he moves an end by a minute."""

    def __init__(self, sandbox: Sandbox, refs: tuple[RunRef, ...], seed: int) -> None:
        self._sandbox, self._refs = sandbox, refs
        self._dice = Random(seed)  # noqa: S311 - no secret
        self._stop = Event()
        self._thread = Thread(target=self._work, name="fielding-demo-colleague", daemon=True)

    def __enter__(self) -> Self:
        if self._refs:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._refs:
            self._thread.join()

    def _work(self) -> None:
        # so often that each of his runs is touched every other second or so
        pause = 2 / len(self._refs)
        while not self._stop.wait(self._dice.uniform(0.5 * pause, 1.5 * pause)):
            ref = self._dice.choice(self._refs)
            self._sandbox.touch(ref, end_fielding_at=self._sandbox.inspect(ref).end_fielding_at + timedelta(minutes=1))

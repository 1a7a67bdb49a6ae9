"""Runs the demo: a sandbox in one thread, the SDK in this one. Faults are planned by requests, not time."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from time import monotonic

from attrs import define, field, frozen

from fielding_async import FieldingSession
from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, Update
from fielding_async.core.config import Limits, Timeout
from fielding_async.core.errors import FieldingError
from fielding_async.core.job_results import BatchResult
from fielding_async.core.models import Outcome, RunRef
from fielding_async.http.client_sessions import session_without_proxies
from fielding_async.sandbox import Behaviour, Sandbox

from .fault_plan import FaultPlan, make_fault_plan, script_faults

__all__ = ["RELAUNCH", "Scenario", "Step", "run_scenario"]

RELAUNCH = "bulk-relaunch"
_DOZEN = 12
_CONCURRENCY = 16
_PATIENT = Timeout(total=None, attempt=3600.0, connect=3600.0)  # a busy machine is slow, and that is no failure


@frozen
class Step:
    """One action on one run that has ended, with an outcome or an error."""

    ref: RunRef
    action: Action
    outcome: Outcome | None = None
    error: FieldingError | None = None


@define(eq=False)
class Scenario:
    """The sandbox, and what has happened so far. Filled by `run_scenario`, read by the display and the report."""

    sandbox: Sandbox
    refs: tuple[RunRef, ...]
    plan: FaultPlan
    seed: int
    began: float = field(factory=monotonic)
    steps: list[Step] = field(factory=list)  # pyright: ignore[reportUnknownVariableType]
    relaunched: BatchResult | None = None
    relaunch_failure: str | None = None
    idempotency_key: str | None = None
    failures: tuple[Exception, ...] = ()

    @property
    def to_relaunch(self) -> tuple[RunRef, ...]:
        """The runs that the bulk job relaunches."""
        return self.refs[:_DOZEN]


async def run_scenario(runs: int, seed: int, on_start: Callable[[Scenario], None]) -> Scenario:
    """Run the demo to its end. `on_start` is called once, with the scenario that is about to start."""
    sandbox = Sandbox(seed=seed, require_token=True, behaviour=Behaviour(job_seconds=0.5))
    refs = tuple(sandbox.add_run() for _ in range(runs))
    scenario = Scenario(sandbox, refs, make_fault_plan(refs, seed), seed)
    script_faults(sandbox, scenario.plan)
    with sandbox:
        # so low that requests exceed it again and again, however long they take; the demo takes about six seconds
        sandbox.rate_limit(max(4.0, runs * 1.6), kind="request-count", window=1.0)
        on_start(scenario)
        # its own ClientSession ignores proxies of the environment; other settings are passed as arguments
        async with (
            session_without_proxies(_CONCURRENCY) as http,
            FieldingSession(
                sandbox.token,
                base_url=sandbox.url,
                http=http,
                # not adaptive: the demo is to show 429s, not to avoid them
                limits=Limits(concurrency=_CONCURRENCY, adaptive=False),
                timeout=_PATIENT,
            ) as fielding,
        ):
            await asyncio.gather(
                *(_perform_all_actions(fielding, scenario, ref, number) for number, ref in enumerate(refs))
            )
            await _relaunch(fielding, scenario)
        scenario.failures = sandbox.failures
        sandbox.clear_failures()  # the report names them
    return scenario


async def _perform_all_actions(fielding: FieldingSession, scenario: Scenario, ref: RunRef, number: int) -> None:
    """Perform all actions on one run, up to one that fails."""
    closing = scenario.sandbox.now + timedelta(days=30, minutes=number)
    run = fielding.run(ref)
    actions: tuple[Action, ...] = (LaunchNow(), Update(end_fielding_at=closing), Pause(), Resume(), Complete())
    for action in actions:
        try:
            scenario.steps.append(Step(ref, action, outcome=await run.perform(action)))
        except FieldingError as error:
            scenario.steps.append(Step(ref, action, error=error))
            return


async def _relaunch(fielding: FieldingSession, scenario: Scenario) -> None:
    first = scenario.refs[0]
    groups = [ref.target_group_id for ref in scenario.to_relaunch]
    try:
        job = await fielding.project(first.account_id, first.project_id).relaunch(groups)
        scenario.idempotency_key = job.idempotency_key
        scenario.relaunched = await job.wait()
    except FieldingError as error:
        scenario.relaunch_failure = f"{Relaunch.name}: {type(error).__name__}: {error.message}"

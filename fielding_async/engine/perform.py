"""Performing an order on a run: the one entry to the engine for handles and batches."""

from fielding_async.core.actions import Action, Change
from fielding_async.core.conflict.write_log import WriteLog
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import FieldingRun, OnConflict, Outcome, RunRef

from .engine import Engine, TimeoutArg
from .run_action import RunAction

__all__ = ["check_on_conflict", "perform_order"]


def check_on_conflict(value: OnConflict) -> OnConflict:
    """Return `value` if it is one of the two; raises `ConfigurationError`."""
    if value not in {"reapply", "raise"}:
        raise ConfigurationError(f'on_conflict={value!r}: must be "reapply" or "raise"')
    return value


async def perform_order(
    engine: Engine,
    ref: RunRef,
    name: str,
    order: Action | Change,
    *,
    seen: FieldingRun | None,
    on_conflict: OnConflict,
    timeout: TimeoutArg,
    log: WriteLog | None = None,
) -> Outcome:
    """Perform an order on a run. All arguments have been checked.

    `log` records each step, for a batch with a journal. Returns and raises what `Run.perform` does.
    """
    with engine.call(name, timeout, ref=ref) as call:
        action = RunAction(
            engine.sender,
            engine.memory,
            engine.turns,
            call,
            ref,
            order,
            seen=seen,
            on_conflict=on_conflict,
            log=log,
        )
        outcome = await action.run()
        call.trace.effect = outcome.effect
        return outcome

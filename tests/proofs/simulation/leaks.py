"""(f) Nothing leaks: what the sessions hold when nothing is ready, and when all is over."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from fielding_async import FieldingError, FieldingRun
from fielding_async.core.conflict.assistant_resource import ASSISTANTS

from .assistant_checks import is_assignment
from .records import CURRENT, CallRecord
from .scenario import Actor, moment, ref_of, run_of
from .server import Server, ServerRun
from .world import World

__all__ = ["check_at_rest", "check_while_quiet", "pair_is_true"]


def check_while_quiet(world: World, actors: list[Actor], found: list[str]) -> None:
    """A slot spans one HTTP exchange only: when the loop has nothing left to do but wait, slots = exchanges."""
    for actor in actors:
        engine = actor.session._engine
        if actor.transport.active > world.limits.concurrency and len(found) < 5:
            found.append(f"(f) session {actor.number}: {actor.transport.active} exchanges at once")
        if engine is not None and engine.limiter.in_flight != actor.transport.active and len(found) < 5:
            found.append(
                f"(f) session {actor.number} at {engine.loop.time() - 1000:.3f}: {engine.limiter.in_flight} slots are "
                f"held, but {actor.transport.active} exchanges are under way"
            )


async def check_at_rest(actors: list[Actor], server: Server, world: World) -> list[str]:
    """After the last late request: every session is as at its start but for its pairs, which are true, and works."""
    found: list[str] = []
    for actor in actors:
        engine = actor.session._engine
        assert engine is not None
        held = {
            "turns": len(engine.turns),
            "slots": engine.limiter.in_flight,
            "tasks": len(engine.sender.attempts.tasks),
            "sleepers": len(engine.sender._sleepers),
            "looks": len(engine.memory.fetches) + len(engine.memories[ASSISTANTS].fetches),
            "waiters": engine.limiter.waiting,
            "token fetches": int(engine.keeper._fetching is not None and not engine.keeper._fetching.done()),
        }
        found += [f"(f) session {actor.number} still holds {count} {name}" for name, count in held.items() if count]
        if not engine.closing:
            for memory in engine.memory._entries.values():
                run: Any = memory.run
                if world.breaks_etags:
                    break
                if run is not None and not pair_is_true(run, server.runs[run.id], world):
                    found.append(f"(f) session {actor.number} remembers a pair that never was: {run}")
            for ref, memory in engine.memories[ASSISTANTS]._entries.items():
                known: Any = memory.run
                states = server.runs[run_of(ref.target_group_id)].with_etag(known.etag) if known is not None else []
                if world.breaks_etags:
                    break
                if known is not None and not any(is_assignment(known, state) for state in states):
                    found.append(f"(f) session {actor.number} remembers an assignment that never was: {known}")
            found += await _still_works(actor, server)
        await actor.session.aclose()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    found += [f"(f) a task is left over: {task.get_name()}" for task in rest]
    return found


async def _still_works(actor: Actor, server: Server) -> list[str]:
    """With the trouble over, a session can read each run, in order and without end of patience."""
    for run_id in server.runs:
        CURRENT.set(CallRecord(-1, actor.number, run_id, "get", "get"))
        try:
            ref = ref_of(run_id)
            if server.world.resource == "runs":
                await actor.session.run(ref).get(timeout=None)
            else:
                group = actor.session.project(ref.account_id, ref.project_id).target_group(ref.target_group_id)
                await group.assistant.get(timeout=None)
        except FieldingError as error:
            return [f"(f) session {actor.number} cannot read in the quiet: {type(error).__name__}: {error}"]
    return []


def pair_is_true(known: FieldingRun, run: ServerRun, world: World) -> bool:
    """Whether the server ever had this run under this ETag.

    Dates are compared as the server stores them: a run that our own update left is known as it was sent. A status is
    compared unless the world changes it without a step.
    """

    def same(date: datetime, ms: int) -> bool:
        return timedelta(0) <= date - moment(ms) < timedelta(milliseconds=world.grain)

    return any(
        same(known.start_fielding_at, state.start)
        and same(known.end_fielding_at, state.end)
        and (known.status == state.status or world.has_silent_changes)
        for state in run.with_etag(known.etag)
    )

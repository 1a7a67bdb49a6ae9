"""Hints of runs in the simulation: a true store that the sessions share, or whatever else a store could say.

And what must hold with them, beside all that holds without.
"""

import asyncio
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from attrs import evolve

from fielding_async import FieldingRun, RunRef
from fielding_async.core.actions import StatusAction
from fielding_async.core.wire.replies import Response
from tests.tools.hints import HintStore

from .records import CURRENT, CallRecord, State
from .scenario import moment, ref_of
from .server import Server
from .world import World

__all__ = ["SimHints", "check_hints", "is_ahead", "is_under_hint"]

_MOST_KINDS = 20
_ODD_VERSIONS: tuple[Any, ...] = (None, -1, "7", True)
_JUNK: tuple[Any, ...] = ("text", 0, b"\x00", {"etag": "*"}, [], Response(200, {}, b"{}"), object())


class SimHints:
    """The `RunHints` of all sessions of a world. What it tells a call is written down in the call's record."""

    def __init__(self, world: World, server: Server, dice: Random) -> None:
        self.world = world
        self.server = server
        self.dice = dice
        self.store = HintStore()
        self.told = 0

    async def get(self, ref: RunRef) -> Any:
        call = CURRENT.get()
        call.hints_asked += 1
        if self.world.hints == "true":
            await asyncio.sleep(self.world.latency / 10)
            hint: Any = await self.store.get(ref)
        else:
            hint = await self._garbage(ref)
        if isinstance(hint, FieldingRun) and hint.etag is not None:
            self.told += 1
            call.hints.append(hint)
            call.hinted_at = asyncio.get_running_loop().time()
        return hint

    async def _garbage(self, ref: RunRef) -> Any:
        dice = self.dice
        run = self.server.runs[ref.fielding_run_id]
        now = _value(ref, run.head)
        past = _value(ref, dice.choice(run.states))
        stored = await self.store.get(ref)
        other = dice.choice(list(self.server.runs.values()))
        match dice.randrange(_MOST_KINDS):
            case 0:
                return None
            case 1:
                return dice.choice(_JUNK)
            case 2:
                raise RuntimeError("a store that raises")
            case 3:
                await asyncio.sleep(dice.choice([0.001, 0.02, 0.06, 1e6]))  # the last: it hangs
                return now
            case 4:
                return _value(ref, other.head)
            case 5:
                return evolve(_value(ref, other.head), id=other.id)
            case 6 | 7:
                return past
            case 8:
                return evolve(past, version=now.version)
            case 9 | 10:  # an ETag that the run may have next, or later
                return evolve(now, etag=f'W/"{run.tag + dice.choice([1, 1, 2, 3])}"', version=run.head.version + 1)
            case 11:
                return evolve(now, version=dice.choice([now.version or 0, 10**12]) + 1)
            case 12:
                return evolve(now, etag=dice.choice(["", "*", "x", 'W/""', "a\nb", "é", "\ud800", '"' * 5000]))
            case 13 | 14:
                return evolve(now, status=dice.choice(["scheduled", "live", "paused", "completed", "odd"]))
            case 15:
                return evolve(now, end_fielding_at=now.start_fielding_at, version=dice.choice(_ODD_VERSIONS))
            case 16:
                return evolve(past, etag=now.etag)
            case 17:
                return stored
            case _:
                return now

    def listen(self, forget: Callable[[RunRef, str | None], None]) -> None:
        self.store.listen(forget)

    def offer(self, ref: RunRef, response: Response) -> None:
        self._maybe_raise()
        self.store.offer(ref, response)

    def drop(self, ref: RunRef, etag: str | None) -> None:
        self._maybe_raise()
        self.store.drop(ref, etag)

    def _maybe_raise(self) -> None:
        if self.world.hints == "garbage" and self.dice.random() < 0.1:
            raise RuntimeError("a store that raises")
        for forget in self.store.listeners:
            if self.world.hints == "garbage" and self.dice.random() < 0.1:
                run = self.dice.choice(list(self.server.runs.values()))
                forget(ref_of(run.id), self.dice.choice([None, run.head.etag, run.states[0].etag, "\ud800"]))


def _value(ref: RunRef, state: State) -> FieldingRun:
    return FieldingRun(
        id=ref.fielding_run_id,
        status=state.status,
        version=state.version,
        start_fielding_at=moment(state.start),
        end_fielding_at=moment(state.end),
        etag=state.etag,
    )


def is_under_hint(call: CallRecord, etag: str | None) -> bool:
    """Whether a write of a call may have gone under an ETag of which the session knew nothing else.

    It is that of a hint, or that which a write under a hint had left; such a write goes before any GET of its call.
    """
    if not (call.hints_asked or call.may_go_by_hints):
        return False
    for message in call.messages:
        if message.is_write:
            return message.if_match == etag
        return False
    return False


def is_ahead(server: Server, run_id: str, etag: str | None, sent_at: float) -> bool:
    """Whether the run had an ETag only after it was sent: that of a time to come, which no session was ever shown."""
    states = server.runs[run_id].with_etag(etag)
    return bool(states) and all(state.since > sent_at for state in states)


def check_hints(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(q) A hint serves plain status actions alone, before any GET, and never raises what the session knows is past.

    Known to be past is an ETag under which a write of the session was accepted, and a version below one that a GET has
    shown to it. A call that succeeds without a GET was accepted.
    """
    if world.hints == "none":
        return
    past: dict[tuple[int, str], list[tuple[float, str | None]]] = {}
    shown: dict[tuple[int, str], list[tuple[float, int]]] = {}
    for call in calls:
        key = call.session, call.run_id
        for message in call.messages:
            if message.ended_at is None:
                continue
            if message.is_accepted and message.applied and not message.applied[0].is_noop:
                past.setdefault(key, []).append((message.ended_at, message.if_match))
            elif message.shown is not None and message.got == 200 and message.fate.kind != "unreadable":
                shown.setdefault(key, []).append((message.ended_at, message.shown.version))
    for call in calls:
        key = call.session, call.run_id
        if call.hints_asked and not call.may_go_by_hints:
            yield f"(q) {call.title}: asked for a hint"
        told = {hint.etag: hint for hint in call.hints}
        first = call.messages[0] if call.messages else None
        if first is None or not first.is_write or first.if_match not in told:
            continue
        hint = told[first.if_match]
        action = call.action
        if not isinstance(action, StatusAction):
            yield f"(q) {call.title}: wrote under the ETag of a hint, {hint.etag}"
        elif hint.status == action.target:
            yield f"(q) {call.title}: wrote under a hint that says {hint.status}"
        if any(ended < call.hinted_at and etag == hint.etag for ended, etag in past.get(key, ())):
            yield f"(q) {call.title}: wrote under the hint {hint.etag}, which this session knows to be past"
        newest = max((version for ended, version in shown.get(key, ()) if ended < call.hinted_at), default=-1)
        if hint.version is not None and hint.version < newest:
            yield f"(q) {call.title}: wrote under a hint of version {hint.version}, and a GET had shown {newest}"

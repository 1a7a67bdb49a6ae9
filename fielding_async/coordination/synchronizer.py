"""Keeps a member and the store in step: asks for slots before they run out, tells what was seen, reads the news.

One question is in progress at a time. A question is due at once for a 429 and for requests that have no slot; within a
few milliseconds for what the leader is to learn; and after 0.4 s in any case, so that the membership lasts.
"""

import asyncio
import json
import uuid
from contextlib import suppress
from math import inf
from typing import Protocol

from fielding_async.engine.membership import Joining

from .client import Script
from .group_state import Asked
from .leader import Leader
from .replies import entries, read_news, read_reply
from .scope import key
from .scripts import LEARN, SYNC
from .shared_pacer import Refusal, SharedPacer

__all__ = ["Store", "Synchronizer"]

_BEAT = 0.4  # seconds between questions, at most
_LASTS = 3_000_000  # microseconds for which a member counts after its last question
_SOON, _LATER = 0.004, 0.02  # seconds until observations are told: while something spaces requests, and otherwise
_HORIZON, _TRIPS, _LONGEST_HORIZON = 0.05, 4.0, 0.5  # seconds; round trips; seconds
_MARGIN = 0.003  # seconds that the news may need, at least
_MOST = 64  # slots that are asked for at once
_PATIENT = 0.015  # seconds that a call may wait for a slot of its own before one of a batch is asked for
_AGAIN, _LANE_AGAIN, _PROBE_AGAIN = 0.01, 0.02, 0.1  # seconds until the same is asked again, when nothing was given
_EARLY = 0.006  # seconds before the end of a pause, when slots are asked for
_RETURNING = 6.0  # seconds after the store came back, while others may still go on alone
_HEADROOM = 1.035  # times the configured interval: processes are late one by one, and not together
_BLOCK = 1000  # milliseconds that the store waits for news


class Store(Protocol):
    """What is used of `StoreClient`."""

    is_up: bool
    server_id: bytes

    async def call(self, script: Script, *, keys: list[str], args: list[str | bytes | float]) -> object:
        """Call a script."""
        ...

    async def command(self, *words: str | bytes | float, blocks: float = ...) -> object:
        """Send a command."""
        ...


class Synchronizer:
    """The tasks of one member. `me`: its id."""

    def __init__(self, store: Store, scope: str, pacer: SharedPacer, joining: Joining) -> None:
        self.me: str = uuid.uuid4().hex[:12]
        self._store = store
        self._pacer = pacer
        self._joining = joining
        self._loop = joining.loop
        self._keys = [key(scope, name) for name in ("pace", "members", "active", "slots", "seen", "news")]
        self._leader = Leader(pacer.state, joining.loop.time)
        self._woken = asyncio.Event()
        self._is_up = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._asked_at = -inf
        self._not_before = self._lane_not_before = -inf
        self._seen_since: float | None = None
        self._tells_pause = False
        self._returning_until = -inf
        self._own_not_before = -inf
        self._heard = "$"  # the id of the latest news

    def start(self) -> None:
        """Start the tasks. Called once the pacer is attached to its line."""
        self._pacer.wake = self.wake
        self._is_up.set()
        self._tasks = [
            self._loop.create_task(self._run(), name="fielding-async shared pace"),
            self._loop.create_task(self._read(), name="fielding-async shared news"),
        ]

    def wake(self) -> None:
        """Consider whether there is anything to ask or to tell."""
        self._woken.set()

    def store_changed(self) -> None:
        """Note that the store is away, or is back."""
        if self._store.is_up:
            self._is_up.set()
        else:
            self._is_up.clear()
            self._pacer.lose_store(self._loop.time())
            self._changed()
        self.wake()

    def _changed(self) -> None:
        if self._pacer.line is not None:
            self._pacer.line.pace_changed()

    # -- questions

    async def _run(self) -> None:
        while True:
            now = self._loop.time()
            if not self._store.is_up:
                await self._is_up.wait()
                continue
            await self._lead(now)
            due = self._due(now)
            if due > now:
                timer = self._loop.call_at(due, self._woken.set)
                try:
                    await self._woken.wait()
                finally:
                    timer.cancel()
                self._woken.clear()
                continue
            self._woken.clear()
            await self._ask(now)

    def _due(self, now: float) -> float:
        """Return when the next question is due."""
        pacer = self._pacer
        if pacer.refusals or pacer.probe in {"done", "free"} or (pacer.accepted and pacer.state.row):
            return now
        due = self._asked_at + _BEAT
        resumes_at = self._leader.resumes_at()
        if resumes_at is not None and resumes_at > now:
            due = min(due, resumes_at)
        if not pacer.seen:
            self._seen_since = None
        elif self._seen_since is None:
            self._seen_since = now
        if self._seen_since is not None:
            is_spaced = pacer.state.interval > 0 or pacer.state.is_opening
            due = min(due, self._seen_since + (_SOON if is_spaced else _LATER))
        need, _, wanted_at = self._want(now)
        return min(due, wanted_at) if need else due

    def _horizon(self) -> float:
        return min(max(_HORIZON, _TRIPS * self._pacer.state.clock.round_trip), _LONGEST_HORIZON)

    def _want(self, now: float) -> tuple[int, int, float]:
        """Return how many slots to ask for, how many of these for calls ahead of batches, and when to ask."""
        pacer, state = self._pacer, self._pacer.state
        if pacer.line is None or pacer.local is not None or now < state.free_until - _BEAT / 2:
            return 0, 0, inf
        calls, batch = pacer.line.demand()
        demand, held = calls + batch, len(state.book)
        is_busy = pacer.last_gap <= pacer.grace and now - pacer.last_at <= pacer.grace
        need = min(demand + is_busy - held, _MOST)
        when = self._not_before
        lane = 0
        if calls and (batch or state.has_batch) and state.interval > 0 and now >= self._lane_not_before:
            lane = max(0, calls - state.book.due_by(now + max(_PATIENT, 1.5 * state.interval)))
            if lane and now >= when:
                return max(need, lane), lane, now
        if need <= 0:
            return 0, 0, inf
        if held:
            lead = max(self._horizon() / 2, 2 * state.clock.round_trip + 0.005)
            when = max(when, state.book.last_due - lead)
        if now < self._returning_until and state.members < pacer.lost_members:
            need, when = 1, max(when, self._own_not_before)
        return need, 0, when

    async def _ask(self, now: float) -> None:
        pacer, state = self._pacer, self._pacer.state
        need, lane, when = self._want(now)
        if when > now:
            need = lane = 0
        calls, batch = (0, 0) if pacer.line is None else pacer.line.demand()
        refusal = pacer.refusals.pop(0) if pacer.refusals else None
        if refusal is not None and refusal.generation != state.generation:
            refusal = None
        seen, pacer.seen = pacer.seen, []
        accepted, pacer.accepted = pacer.accepted, 0
        probe = pacer.probe
        if probe != "held":
            pacer.probe = ""
        margin = max(_MARGIN, 2 * state.clock.round_trip)
        back = [] if need else state.book.give_back(now + margin, calls + batch + 1)
        paused = state.paused_until if pacer.local is None else pacer.local.paused_until
        left = max(0.0, paused - now) if self._tells_pause or pacer.local is not None else 0.0
        limits = pacer.limits
        told = _HEADROOM * 1e6 / limits.rate if limits.rate is not None else 0.0 if limits.adaptive else -1.0
        args: list[str | bytes | float] = [self.me, "0", told, need, lane, round(self._horizon() * 1e6)]
        args += [calls + batch, _LASTS, limits.burst - 1, *_of_refusal(refusal), round(limits.max_pause * 1e6)]
        args += [self._joining.uniform(0.0, 1.0), round(left * 1e6)]
        args += [json.dumps(seen, separators=(",", ":")) if seen else "", accepted, pacer.accepted_epoch, probe]
        args += ["" if refusal is None else _seen_refusal(refusal, state.clock.stored(refusal.at))]
        args += [round(margin * 1e6), batch, int(self._leader.learner is None)]
        args += [round(state.found_interval * 1e6), *(f"{at:.0f}" for at in back)]
        asked = Asked(state.count, refusal is not None)
        self._asked_at, self._seen_since = now, None
        sent = self._loop.time()
        reply = read_reply(await self._store.call(SYNC, keys=self._keys, args=args))
        received = self._loop.time()
        if reply is None:
            if self._store.is_up:  # our own calls took all the time, or the reply is of another version
                self._not_before = received + _AGAIN
            return
        was_alone, was_known = pacer.local is not None, state.is_known
        if was_alone:
            self._returning_until = received + _RETURNING
        is_new = state.hear_reply(reply, sent, received, asked, self._store.server_id)
        if is_new or not was_known:
            self._heard = f"{max(int(reply.now * 1000) - 1, 0)}-0"
        self._tells_pause = is_new and state.paused_until > received
        pacer.find_store()
        self._leader.hear(reply)
        if need:
            self._given(reply.slots, received, lane - reply.pushed)
        self._changed()

    def _given(self, slots: tuple[float, ...], now: float, lane_left: int) -> None:
        """Note what came of asking for slots: when to ask again."""
        state = self._pacer.state
        self._not_before = -inf
        if lane_left > 0:
            self._lane_not_before = now + _LANE_AGAIN
        if slots:
            self._own_not_before = now + state.interval * self._pacer.lost_members
        elif now < state.free_until:
            return
        elif state.waits_for_probe:
            self._not_before = now + _PROBE_AGAIN
        elif state.paused_until - _EARLY > now:
            self._not_before = state.paused_until - _EARLY
        else:
            self._not_before = now + _AGAIN

    # -- news

    async def _read(self) -> None:
        while True:
            if not self._store.is_up:
                await self._is_up.wait()
            keys, positions = [self._keys[5]], [self._heard]
            if self._leader.learner is not None:
                keys, positions = [*keys, self._keys[4]], [*positions, self._leader.position]
            words: list[str | bytes | float] = ["XREAD", "COUNT", 500, "BLOCK", _BLOCK, "STREAMS", *keys, *positions]
            raw = await self._store.command(*words, blocks=_BLOCK / 1000)
            now, has_news = self._loop.time(), False
            for stream, position, fields in entries(raw):
                if stream == self._keys[4].encode():
                    self._leader.observe(position, fields)
                    continue
                self._heard = position.decode()
                news = read_news(fields)
                if news is not None and self._pacer.local is None:
                    self._pacer.state.hear_news(news, now)
                    has_news = True
            if has_news:
                self._not_before = -inf
                self._changed()
                self.wake()
            await self._publish()

    async def _lead(self, now: float) -> None:
        resumes_at = self._leader.resumes_at()
        if resumes_at is not None and now >= resumes_at:
            self._leader.resume()
            await self._publish()

    async def _publish(self) -> None:
        found = self._leader.publication()
        if found is not None:
            margin = max(_MARGIN, 2 * self._pacer.state.clock.round_trip)
            await self._store.call(LEARN, keys=self._keys, args=[self.me, *found, round(margin * 1e6)])

    # -- its end

    def close_now(self) -> None:
        """End the tasks. Waits for nothing."""
        self._pacer.wake = lambda: None
        with suppress(RuntimeError):  # of an event loop that is closed already
            for task in self._tasks:
                task.cancel()

    async def aclose(self) -> None:
        """End the tasks, and leave the scope, if the store answers in time."""
        self.close_now()
        if self._tasks:
            await asyncio.wait(self._tasks)
        state = self._pacer.state
        if self._store.is_up and state.is_known:
            back = [f"{at:.0f}" for at in state.book.give_back(self._loop.time(), 0)]
            args: list[str | bytes | float] = [self.me, "1", -1, 0, 0, 0, 0, _LASTS, 0, -1, 0, 0, 0, 0, "", 0, 0]
            probe = "free" if self._pacer.probe else ""
            await self._store.call(SYNC, keys=self._keys, args=[*args, probe, "", 0, 0, "0", 0, *back])


def _of_refusal(refusal: Refusal | None) -> tuple[float, float]:
    if refusal is None:
        return -1, 0
    return refusal.store_epoch, -1 if refusal.retry_after is None else round(refusal.retry_after * 1e6)


def _seen_refusal(refusal: Refusal, at: float) -> str:
    return json.dumps([refusal.store_epoch, round(at, 6), min(refusal.speed, 1e9), refusal.waited])

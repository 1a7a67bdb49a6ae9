"""A store in the place of Redis for tests in virtual time: what `SYNC` does for a configured rate, and the news.

It does by itself what the script does for slots, pauses without probes, members and counts. Learning, probes and the
lane of calls are tested with a real Redis. `clock`: what its clock shows beyond the loop's. `delay`: seconds that a
call takes each way. `is_away`: nothing is answered. `factor`: by which the configured interval is lengthened;
`is_strict`: even spacing is demanded.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from fielding_async.coordination.client import Script
from fielding_async.coordination.scripts import SYNC

__all__ = ["FakeLink", "FakeStore"]

_BOUND = 0.3


class FakeStore:
    """The one store of a simulated group."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.clock: float = 1_700_000_000.0
        self.delay: float = 0.0005
        self.calls: int = 0
        self.factor: float = 1.0
        self.is_strict: bool = False
        self.empty()

    def empty(self) -> None:
        """Forget everything, as FLUSHALL."""
        self.count = self.epoch = self.change = self.row = 0
        self.cursor = self.until = self.length = 0.0
        self.owner: str = ""
        self.members: dict[str, float] = {}
        self.active: dict[str, float] = {}
        self.back: list[float] = []
        self.news: list[tuple[bytes, list[bytes]]] = []
        self.heard = asyncio.Event()

    def now(self) -> float:
        """Return the time of its clock, in microseconds."""
        return float(round((self._loop.time() + self.clock) * 1e6))

    def _tell(self, *fields: object) -> None:
        number = f"{int(self.now() / 1000)}-{len(self.news)}".encode()
        self.news.append((number, [str(field).encode() for field in fields]))
        heard, self.heard = self.heard, asyncio.Event()
        heard.set()

    def _pause(self, now: float, seconds: float) -> None:
        self.until, self.change = max(self.until, now + seconds), self.change + 1
        self.length, self.cursor, self.back = self.until - now, self.until, []
        self._tell("k", "p", "e", self.epoch, "u", f"{self.until:.0f}", "r", self.row, "c", self.change)

    def sync(self, args: list[Any]) -> list[Any]:
        """Do what the script does."""
        self.calls += 1
        me, leaves, told, want = str(args[0]), args[1] == "1", float(args[2]), int(args[3])
        horizon, demand, lasts = float(args[5]), int(args[6]), float(args[7])
        refused, retry, longest, paused = int(args[9]), float(args[10]), float(args[11]), float(args[13])
        now, margin = self.now(), float(args[19])
        self.count += 1
        self.until = min(self.until, now + self.length)
        if paused > 0 and now + paused > self.until:
            self.epoch += 1
            self._pause(now, paused)
        for table in (self.members, self.active):
            for name in [name for name, until in table.items() if until <= now]:
                del table[name]
        if leaves:
            self.members.pop(me, None)
            self.active.pop(me, None)
        else:
            self.members[me] = now + lasts
            if demand:
                self.active[me] = now + 500_000
        if int(args[15]) and int(args[16]) == self.epoch:
            self.row = 0
        if refused >= 0:
            seconds = min(max(retry, 0.0), longest)
            is_late, was_paused = refused != self.epoch, self.until > now
            if not is_late or not was_paused:
                self.epoch, self.row = self.epoch + 1, self.row + 1
                self._pause(now, seconds)
            elif now + seconds > self.until:
                self._pause(now, seconds)
        self.back = sorted(at for at in [*self.back, *map(float, args[23:])] if at > now + margin)
        slots: list[bytes] = []
        told *= self.factor
        start, active = max(now, self.until), max(len(self.active), 1)
        if self.is_strict:
            horizon, self.back = max(horizon, 24 * active * told), []
        if want and told > 0:
            if self.cursor > start + 4 * (horizon + active * told):
                self.cursor = start
            self.cursor = max(self.cursor, start)
            guard = told * 0.5 if self.is_strict else 0.0
            if self.owner == me and self.cursor - guard >= max(now + margin, self.until):
                self.cursor -= guard
            for _ in range(min(want, max(1, int(horizon / told / active + 0.5)))):
                if self.back:
                    slots.append(f"{self.back.pop(0):.0f}".encode())
                else:
                    slots.append(f"{self.cursor:.0f}".encode())
                    self.cursor += told
            self.cursor, self.owner = self.cursor + guard, me
        numbers = [self.count, f"{now:.0f}".encode(), self.epoch, f"{self.until:.0f}".encode(), self.row, self.change]
        counts = [len(self.members) or 1, active, f"{told:.3f}".encode(), int(self.is_strict), b""]
        return [*numbers, *counts, slots, 0, b"0"]


class FakeLink:
    """One member's connection to the store: `StoreClient` as `Synchronizer` uses it."""

    def __init__(self, store: FakeStore, loop: asyncio.AbstractEventLoop, back_after: float) -> None:
        self.store = store
        self.is_up: bool = True
        self.is_away: bool = False
        self.server_id: bytes = b"one"
        self.on_change: dict[Any, None] = {}
        self._loop = loop
        self._back_after = back_after

    async def call(self, script: Script, *, keys: Iterable[str], args: list[Any]) -> Any:
        """Call the script: there, and back, within 0.3 seconds."""
        if not self.is_up or script is not SYNC:
            return None
        delay = self.store.delay
        if not self._answers():
            await asyncio.sleep(_BOUND)
            self._lost()
            return None
        await asyncio.sleep(delay)
        reply = self.store.sync(args)
        await asyncio.sleep(delay)
        if not self._answers():
            await asyncio.sleep(max(0.0, _BOUND - 2 * delay))
            self._lost()
            return None
        return reply

    async def command(self, *words: Any, blocks: float = 0.0) -> Any:
        """XREAD of the news."""
        position = str(words[-1])
        end = self._loop.time() + blocks
        while self.is_up and self._loop.time() < end:
            found = [[number, fields] for number, fields in self.store.news if _after(number.decode(), position)]
            if found and not self.is_away:
                await asyncio.sleep(self.store.delay)
                return [[str(words[-2]).encode(), found]]
            waiting = asyncio.ensure_future(self.store.heard.wait())
            await asyncio.wait([waiting], timeout=min(0.1, max(end - self._loop.time(), 0.001)))
            waiting.cancel()
        if not self.is_up:
            await asyncio.sleep(0.01)
        return None

    def _answers(self) -> bool:
        return not self.is_away and 2 * self.store.delay <= _BOUND

    def _lost(self) -> None:
        if not self.is_up:
            return
        self.is_up = False
        self._loop.call_later(self._back_after, self._try)
        for observe in list(self.on_change):
            observe()

    def _try(self) -> None:
        if not self._answers():
            self._loop.call_later(self._back_after, self._try)
            return
        self.is_up = True
        for observe in list(self.on_change):
            observe()


def _after(number: str, position: str) -> bool:
    if position == "$":
        return False
    return tuple(map(int, number.split("-"))) > tuple(map(int, position.split("-")))

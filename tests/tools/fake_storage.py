"""The disk of a journal in memory, in virtual time: with latency, errors, and crashes that tear what is written."""

import asyncio
from collections.abc import Callable
from random import Random

from fielding_async.journal.lines import header_line
from fielding_async.journal.replay import Replay
from fielding_async.journal.values import Binding

__all__ = ["Disk", "MemoryStorage"]


class Disk:
    """What survives a crash. `fail_after`: the writes that succeed before the disk is full."""

    def __init__(self, latency: float = 0.002, fail_after: int | None = None) -> None:
        self.data = b""
        self.latency = latency
        self.fail_after = fail_after
        self.writes = 0
        self.life = 0
        self._pending = b""

    def replayed(self, *, keep: bool = False) -> Replay:
        """Return what is on it."""
        replay = Replay(keep=keep)
        if self.data:
            first, *lines = self.data.splitlines(keepends=True)
            replay.begin(first)
            for line in lines:
                replay.feed(line)
        return replay

    def crash(self, dice: Random) -> None:
        """End this life: of what was being written any part may be there."""
        self.data += self._pending[: dice.randrange(len(self._pending) + 1)]
        self._pending = b""
        self.life += 1

    def begin(self, blob: bytes) -> None:
        self._pending += blob

    def end(self, blob: bytes) -> None:
        self.data += blob
        self._pending = self._pending[len(blob) :]


class MemoryStorage:
    """A `JournalStorage` on a `Disk`."""

    name = "journal='memory'"

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._life = disk.life

    async def load(self, binding: Binding, replay: Replay) -> None:
        disk = self._disk
        if not disk.data.endswith(b"\n") and b"\n" not in disk.data:
            disk.data = header_line(binding)
            replay.begin(disk.data)
            return
        first, *lines = disk.data.splitlines(keepends=True)
        assert replay.begin(first) == binding
        for line in lines:
            replay.feed(line)
        disk.data = disk.data[: replay.good_bytes]

    def write(self, blob: bytes, written: Callable[[OSError | None], None]) -> None:
        disk = self._disk
        dead = OSError(5, "the process was killed")
        if self._life != disk.life:
            asyncio.get_running_loop().call_soon(written, dead)
            return
        disk.begin(blob)

        def end() -> None:
            if self._life != disk.life:
                written(dead)
                return
            disk.writes += 1
            if disk.fail_after is not None and disk.writes > disk.fail_after:
                written(OSError(28, "No space left on device"))
                return
            disk.end(blob)
            written(None)

        asyncio.get_running_loop().call_later(disk.latency, end)

    @property
    def may_leave(self) -> Callable[[], bool] | None:
        return None

    def close(self) -> "asyncio.Future[None]":
        closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(self._disk.latency, closed.set_result, None)
        return closed

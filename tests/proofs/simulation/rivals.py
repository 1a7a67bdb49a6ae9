"""Colleagues: they change runs on the server directly, past the network, by its own rules."""

from random import Random

from .records import Message
from .server import EPOCH, Server, ServerRun, to_ms

__all__ = ["Rival"]

_NEXT = {
    "scheduled": ("live", "completed"),
    "live": ("paused", "completed"),
    "paused": ("live",),
    "completed": ("live",),
}


class Rival:
    """The colleagues of a world. They like the very dates and increments that our own calls choose."""

    def __init__(self, server: Server, dice: Random, starts: list[int], ends: list[int], delta: int) -> None:
        self._server = server
        self.dice = dice
        self._starts = starts
        self._ends = ends
        self._delta = delta

    def act(self, run_id: str, now: float) -> str:
        """Make one change, of any kind; return a text that says which."""
        run = self._server.runs[run_id]
        self._server.tick(run, now)
        if self._server.world.ends_near and self.dice.random() < 0.5:
            return self._put(run, now, end=EPOCH + int(now * 1000) + self.dice.randrange(200, 6000))
        match self.dice.choice(["status", "status", "end", "start", "more", "back", "touch"]):
            case "status":
                status = self.dice.choice(_NEXT[run.head.status])
                return self._put(run, now, status=status)
            case "end":
                return self._put(run, now, end=self.dice.choice(self._ends))
            case "start":
                return self._put(run, now, start=self.dice.choice(self._starts))
            case "more":
                return self._put(run, now, end=run.head.end + self._delta)
            case "back" if len(run.states) > 1:
                old = run.states[-2]
                return self._put(run, now, status=old.status, start=old.start, end=old.end)
            case _:
                return self._put(run, now)

    def same(self, message: Message, now: float) -> str:
        """Make the very change that a write asks for."""
        run = self._server.runs[message.run_id]
        self._server.tick(run, now)
        if message.dates is not None:
            start, end = map(to_ms, message.dates)
            return self._put(run, now, start=start, end=end)
        target = {"pause": "paused", "complete": "completed"}.get(message.action, "live")
        return self._put(run, now, status=target)

    def _put(
        self, run: ServerRun, now: float, status: str | None = None, start: int | None = None, end: int | None = None
    ) -> str:
        head = run.head
        new_start = head.start if start is None else start
        new_end = head.end if end is None else end
        if new_end <= new_start or new_end <= EPOCH + int(now * 1000):
            new_start, new_end = head.start, head.end
        state = self._server.change(run, now, "colleague", status=status, start=new_start, end=new_end)
        return f"{run.id} is now {state.etag}, {state.status}"

"""Hints of runs in memory: a true store that sessions share, and stores that are wrong or away."""

import asyncio
from collections.abc import Callable
from typing import Any

from fielding_async import FieldingRun, FieldingSession, RunRef
from fielding_async.core.wire.replies import Response
from fielding_async.core.wire.run_hints import Hint, decode_hint, encode_hint
from fielding_async.engine.fetch import BoundedHints

__all__ = ["HintStore", "share"]


class HintStore:
    """The `RunHints` of all sessions that share it. `asked`: the runs that hints were asked for, in order.

    `wrong`: what is returned in place of a hint, if it is set: it gets the ref, and what is stored.
    """

    def __init__(self) -> None:
        self.stored: dict[RunRef, Hint] = {}
        self.past: dict[RunRef, str] = {}
        self.asked: list[RunRef] = []
        self.dropped: list[tuple[RunRef, str | None]] = []
        self.listeners: list[Callable[[RunRef, str | None], None]] = []
        self.wrong: Callable[[RunRef, FieldingRun | None], Any] | None = None

    async def get(self, ref: RunRef) -> FieldingRun | None:
        self.asked.append(ref)
        hint = self.stored.get(ref)
        run = None if hint is None else decode_hint(ref, hint.text.encode(), 0.0)
        if self.wrong is None:
            return run
        said: Any = self.wrong(ref, run)
        if asyncio.iscoroutine(said):
            said = await said
        told: FieldingRun | None = said
        return told

    def offer(self, ref: RunRef, response: Response) -> None:
        hint = encode_hint(ref, response)
        known = self.stored.get(ref)
        if hint is None or hint.etag == self.past.get(ref):
            return
        if known is None or (known.version, known.at) <= (hint.version, hint.at):
            self.stored[ref] = hint

    def drop(self, ref: RunRef, etag: str | None) -> None:
        self.dropped.append((ref, etag))
        known = self.stored.get(ref)
        if known is not None and etag in {None, known.etag}:
            del self.stored[ref]
        if etag is not None:
            self.past[ref] = etag
        for forget in self.listeners:  # the session's own is none the worse for it
            forget(ref, etag)

    def listen(self, forget: Callable[[RunRef, str | None], None]) -> None:
        self.listeners.append(forget)


def share(fielding: FieldingSession, store: Any) -> None:
    """Have an entered session give and take hints of a store."""
    engine = fielding.engine()
    store.listen(engine.memory.forget_past)
    engine.hints = BoundedHints(store, engine.loop.time)

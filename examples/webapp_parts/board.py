"""What the page shows: each run as it was last seen, the exchange's pause, and the stream of changes."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass

from fielding_async import FieldingRun, RunRef

from .answers import RunView, seen_text

__all__ = ["Board", "BoardView", "Entry", "RunItem"]

KEEP_ALIVE = 15.0  # seconds: proxies end streams that are silent for long
_RECONNECT = 2000  # milliseconds until a browser opens an ended stream again


@dataclass(frozen=True, slots=True)
class RunItem:
    """A run on the page. `problem`: why it is not up to date, if it is not."""

    ref: str
    problem: str | None
    run: RunView | None


@dataclass(frozen=True, slots=True)
class BoardView:
    """All that the page shows. `pause_left`: seconds until the exchange accepts requests again; 0 without a pause."""

    runs: list[RunItem]
    pause_left: float


@dataclass(slots=True)
class Entry:
    """What is known of one run.

    `run` is the latest, from whatever source. `tagged` is the latest that came with an ETag, as an action needs it.
    `writes` counts the changes that did not come from a list, and `acting` the actions in progress: a list that was
    fetched before one of them tells nothing new.
    """

    ref: RunRef
    run: FieldingRun | None = None
    tagged: FieldingRun | None = None
    problem: str | None = None
    writes: int = 0
    acting: int = 0

    def as_seen(self, seen: str) -> FieldingRun | None:
        """Return the run as the person saw it, with its ETag, unless something newer or other is known."""
        if self.run is None or self.tagged is None or seen_text(self.run) != seen:
            return None
        return self.tagged if seen_text(self.tagged) == seen else None


class Board:
    """What the page shows; whoever reads the stream gets every change."""

    def __init__(self, refs: Iterable[RunRef]) -> None:
        self.entries = {str(ref): Entry(ref) for ref in refs}
        self.version = 0
        self.is_closed = False
        self._pause_until = 0.0
        self._news = asyncio.Event()
        self._text: tuple[int, str] = (-1, "")

    def saw(self, entry: Entry, run: FieldingRun) -> None:
        """Show a run as a GET, an action or an error showed it."""
        entry.writes += 1
        if run.etag is not None:
            entry.tagged = run
        self._put(entry, run, None)

    def listed(self, entry: Entry, run: FieldingRun | None, problem: str | None, writes: int) -> None:
        """Show a run as a list had it, or why there is none. `writes`: of the entry when the list was asked for."""
        if entry.acting or entry.writes != writes:
            return
        self._put(entry, entry.run if run is None else run, problem)

    def paused(self, left: float) -> None:
        """Show for how many seconds the exchange accepts no requests; 0 once it does."""
        until = asyncio.get_running_loop().time() + left if left > 0 else 0.0
        if (until > 0) is not (self._pause_until > 0) or abs(until - self._pause_until) > 1:
            self._pause_until = until
            self._changed()

    def close(self) -> None:
        """End all streams."""
        self.is_closed = True
        self._changed()

    def view(self) -> BoardView:
        """Return all that the page shows."""
        items = [
            RunItem(key, entry.problem, None if entry.run is None else RunView.of(entry.run))
            for key, entry in self.entries.items()
        ]
        left = self._pause_until - asyncio.get_running_loop().time() if self._pause_until else 0.0
        return BoardView(items, round(max(left, 0.0), 1))

    async def newer(self, than: int) -> None:
        """Return once there is something newer than this version, or the board is closed."""
        while self.version <= than and not self.is_closed:
            await self._news.wait()

    async def events(self) -> AsyncIterator[bytes]:
        """Yield server-sent events: the view, again after each change, and `stopping` at the end."""
        yield f"retry: {_RECONNECT}\n\n".encode()
        sent = -1
        while not self.is_closed:
            if self.version > sent:
                sent = self.version
                yield f"data: {self._view_text()}\n\n".encode()
            else:
                yield b": nothing new\n\n"
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE):
                    await self.newer(sent)
        yield b"event: stopping\ndata: {}\n\n"

    def _view_text(self) -> str:
        """Return the view as JSON, made once for all who read it, except in a pause, whose rest changes."""
        if self._text[0] != self.version or self._pause_until:
            self._text = (self.version, json.dumps(asdict(self.view())))
        return self._text[1]

    def _put(self, entry: Entry, run: FieldingRun | None, problem: str | None) -> None:
        if (entry.run, entry.problem) != (run, problem):
            entry.run, entry.problem = run, problem
            self._changed()

    def _changed(self) -> None:
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()

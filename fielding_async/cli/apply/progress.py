"""Progress of `fielding apply` on stderr: redrawn on a terminal, else a line every few seconds."""

import asyncio
import time
from collections import deque
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fielding_async import Batch
from fielding_async.cli.shared.output import duration, is_live, printable, stderr_console, write_stderr

from .order import Order
from .tally import Tally

__all__ = ["Display", "RateView", "outage_text", "pause_text"]

_FIRST, _EVERY = 1.0, 5.0  # seconds until the first line, and between lines, where nothing can be redrawn
_WINDOW = 10.0  # seconds over which the rows per second are measured
_SAMPLES = 100


class RateView(Protocol):
    """What is shown of the session's rate limiter."""

    @property
    def pause_left(self) -> float:
        """Seconds that the server still has the session pause; 0 if it does not."""
        ...

    @property
    def refusals(self) -> int:
        """How many requests were answered with 429."""
        ...


def pause_text(limiter: RateView) -> str:
    """Return what to add to a line while the server has the session pause; nothing if it does not."""
    pause = limiter.pause_left
    return f"; paused by the server, {pause:.0f} s to go" if pause >= 1 else ""


def outage_text(batch: Batch) -> str:
    """Return since when the exchange cannot be used, why, and what is tried; nothing while it can be."""
    outage = batch.outage
    if outage is None or outage.is_given_up:
        return ""
    since = time.strftime("%H:%M:%S", time.localtime(time.time() - outage.seconds))
    tries = "trying it now" if outage.next_probe_in is None else f"next try in {outage.next_probe_in:.0f} s"
    return (
        f"the exchange cannot be used since {since} ({printable(outage.reason)}); {tries},"
        f" for {duration(outage.wait_left)} more at most"
    )


class Display:
    """Shows how many rows have ended, while the batch runs. A thread redraws the terminal; it only reads."""

    def __init__(self, order: Order, rows: int, batch: Batch, tally: Tally, limiter: RateView) -> None:
        self._order = order
        self._rows = rows
        self._batch = batch
        self._tally = tally
        self._limiter = limiter
        self._console = stderr_console()
        self._live: Live | None = None
        self._next_line: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=_SAMPLES)

    def __enter__(self) -> Self:
        if is_live(self._console):
            self._live = Live(self, console=self._console, refresh_per_second=5, transient=True)
            self._live.start()
        else:
            self._next_line = self._loop.call_later(_FIRST, self._write_line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if self._next_line is not None:
            self._next_line.cancel()

    def say(self, text: str) -> None:
        """Write a line to stderr: above what is shown on a terminal, which is then not drawn a second time."""
        if self._live is None:
            write_stderr(text)
        else:
            self._console.print(Text(text), soft_wrap=True)

    def _write_line(self) -> None:
        plan = printable(self._order.plan)
        outage = outage_text(self._batch)
        now = outage or self._pace()
        write_stderr(f"{plan}: {self._ended():,} of {self._rows:,} rows; {now}; {self._counts()}")
        self._next_line = self._loop.call_later(_EVERY, self._write_line)

    def _ended(self) -> int:
        return self._batch.earlier.ended + self._tally.ended

    def _pace(self) -> str:
        now = time.monotonic()
        self._samples.append((now, self._tally.ended))
        while now - self._samples[0][0] > _WINDOW and len(self._samples) > 2:
            self._samples.popleft()
        began, before = self._samples[0]
        pace = (self._tally.ended - before) / (now - began) if now > began else 0.0
        left = self._rows - self._ended()
        eta = f", {duration(left / pace)} left" if pace > 0 and left else ""
        return f"{pace:,.{1 if pace < 10 else 0}f} rows/s{eta}{pause_text(self._limiter)}"

    def _counts(self) -> str:
        earlier, tally = self._batch.earlier, self._tally
        figures = [
            (earlier.failed + tally.failed, "failed"),
            (earlier.unknown + tally.unknown, "unknown"),
            (earlier.skipped + tally.skipped, "skipped"),
        ]
        stuck = self._batch.stuck
        more = [(self._batch.open + tally.open - stuck, "open"), (stuck, "stuck")]
        figures += [(count, name) for count, name in more if count > 0]
        figures += [(tally.conflicts, "conflicts"), (self._limiter.refusals, "429s")]
        return ", ".join([f"{self._batch.in_flight} in flight", *(f"{count:,} {name}" for count, name in figures)])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ended = self._ended()
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=max(20, options.max_width // 3))
        grid.add_column(ratio=1)
        grid.add_column(no_wrap=True, justify="right")
        name = Text.assemble(("SANDBOX ", "bold yellow") if self._order.sandbox else "", printable(self._order.plan))
        share = ended / self._rows
        grid.add_row(name, ProgressBar(self._rows, ended), Text(f"{ended:,} of {self._rows:,}  {int(share * 100):3} %"))
        yield grid
        outage = outage_text(self._batch)
        yield Text(outage or self._pace(), "yellow" if outage else "", no_wrap=not outage, overflow="ellipsis")
        yield Text(self._counts(), no_wrap=True, overflow="ellipsis")

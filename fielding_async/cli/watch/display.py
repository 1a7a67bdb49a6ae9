"""Shows the watched runs: a table that is redrawn on a terminal, else a line for each change."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from attrs import evolve
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live

from fielding_async.cli.shared.output import (
    duration,
    printable,
    stdout_has_reader,
    write_json,
    write_stderr,
    write_stdout,
)
from fielding_async.cli.shared.signal_handling import interrupting_output
from fielding_async.cli.shared.value_texts import error_lines, error_object
from fielding_async.core.dates import to_text
from fielding_async.core.errors import FieldingError

from .runs import Change, Watched
from .texts import change_line, change_object, span_text
from .view import Situation, screen_lines

__all__ = ["Lines", "LiveTable", "now"]


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Lines:
    """Writes a line to stdout for each change, and one to stderr when an outage starts and when it is over."""

    def __init__(self, *, every: float, as_json: bool) -> None:
        self._every = every
        self._as_json = as_json
        self._failing_since: datetime | None = None
        self._is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def is_gone(self) -> bool:
        """Whether the reader of stdout has left."""
        return not self._is_open or not stdout_has_reader()

    def begins(self) -> None:
        """Nothing is written for it."""

    def rests(self, seconds: float) -> None:
        """Nothing is written for it."""

    def changed(self, change: Change) -> None:
        """Write a line, or a JSON object."""
        with interrupting_output():
            if self._as_json:
                is_open = write_json(change_object(change, now()))
            else:
                is_open = write_stdout(change_line(change, now()))
        self._is_open = self._is_open and is_open

    def failed(self, error: FieldingError) -> None:
        """Say once that the runs cannot be read, and why."""
        if self._failing_since is not None:
            return
        self._failing_since = now()
        write_stderr("\n".join(error_lines(error, "watch")))
        write_stderr(f"fielding: watch: the runs cannot be read; trying again every {duration(self._every)}")
        if self._as_json:
            write_json({**error_object(error), "kind": "outage", "time": to_text(self._failing_since)})

    def ended(self) -> None:
        """Say that the outage is over, if there was one."""
        if self._failing_since is None:
            return
        span = span_text((now() - self._failing_since).total_seconds())
        self._failing_since = None
        write_stderr(f"fielding: watch: the runs can be read again, after {span}")
        if self._as_json:
            write_json({"kind": "outage-over", "time": to_text(now())})


class LiveTable:
    """Redraws the table of the runs on a terminal. A thread redraws it; it only reads."""

    def __init__(self, console: Console, project: str, watched: Watched, pause_left: Callable[[], float]) -> None:
        self._console = console
        self._watched = watched
        self._pause_left = pause_left
        self._situation = Situation(project=project)
        self._live = Live(self, console=console, refresh_per_second=2, screen=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()
        self._console.print(self)  # on the ordinary screen, where it stays

    @property
    def is_gone(self) -> bool:
        """Whether the terminal is closed."""
        return not stdout_has_reader()

    def begins(self) -> None:
        """Show that the runs are being read."""
        self._situation = evolve(self._situation, next_at=None)

    def changed(self, change: Change) -> None:
        """Show it the next time the screen is redrawn."""

    def ended(self) -> None:
        """Show when all runs were read."""
        self._situation = evolve(self._situation, read_at=now(), failing_since=None, reason="")

    def failed(self, error: FieldingError) -> None:
        """Show why the runs cannot be read, beside what was last read."""
        since = self._situation.failing_since or now()
        reason = printable(error_lines(error, "watch")[0].removeprefix("fielding: watch: "))
        self._situation = evolve(self._situation, failing_since=since, reason=reason)

    def rests(self, seconds: float) -> None:
        """Show when the runs are read again."""
        self._situation = evolve(self._situation, next_at=now() + timedelta(seconds=seconds))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        situation = evolve(self._situation, pause_left=self._pause_left())
        runs = list(self._watched.runs.values())  # one step, whatever the loop adds meanwhile
        height = max(console.height - 1, 5)
        yield from screen_lines(runs, situation, now(), width=options.max_width, height=height)

"""Shows the status of a plan as it changes: redrawn on a terminal, else a line for each change."""

from types import TracebackType
from typing import Any, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live

from fielding_async.cli.shared.output import printable, write_json, write_stderr, write_stdout
from fielding_async.cli.shared.signal_handling import interrupting_output
from fielding_async.plans import PlanStatus

from .status_view import status_lines
from .texts import progress_line, status_object

__all__ = ["Lines", "Screen"]

_NOTE = "the database cannot be used now; asking again"


class Lines:
    """Writes a line to stdout for each status that differs from the one before."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._last: object = None
        self._has_failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, status: PlanStatus, pace: float, note: str = "") -> None:
        """Write it if it is not what was written last. `note`: what holds the plan up."""
        if self._has_failed:
            self._has_failed = False
            write_stderr("fielding: plans status: the database can be used again")
        shown = status_object(status)
        same: dict[str, Any] = {**shown, "note": note, "workers": [worker["holder"] for worker in shown["workers"]]}
        if same == self._last:
            return
        self._last = same
        with interrupting_output():
            if self._as_json:
                write_json({**shown, "rows_per_second": round(pace, 1), "outage": note or None})
            else:
                write_stdout(progress_line(status, pace) + (f"; {note}" if note else ""))

    def failed(self, reason: str) -> None:
        """Say once that the database cannot be used."""
        if not self._has_failed:
            self._has_failed = True
            write_stderr(f"fielding: plans status: {_NOTE}: {printable(reason)}")


class Screen:
    """Redraws the status on a terminal. A thread redraws it; it only reads."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: tuple[PlanStatus, float] | None = None
        self._note = ""
        self._live = Live(self, console=console, refresh_per_second=2, screen=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()
        self._console.print(self)  # on the ordinary screen, where it stays

    def show(self, status: PlanStatus, pace: float, note: str = "") -> None:
        """Show it the next time the screen is redrawn. `note`: what holds the plan up."""
        self._shown, self._note = (status, pace), note

    def failed(self, reason: str) -> None:
        """Show it beside what was last read."""
        self._note = f"{_NOTE}: {printable(reason)}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._shown is not None:
            status, pace = self._shown
            most = max(console.height - 16, 3)
            yield from status_lines(
                status, width=options.max_width, is_drawn=True, pace=pace, note=self._note, most_workers=most
            )

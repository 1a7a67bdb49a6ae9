"""Progress of a job on stderr: one line redrawn on a terminal, else a line for each change."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from fielding_async.cli.shared.output import is_live, stderr_console, write_stderr

__all__ = ["JobProgress"]


class JobProgress:
    """Shows a job while it runs, first as this text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = time.monotonic()
        self._last = ""
        self._console: Console = stderr_console()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if is_live(self._console):
            self._status = self._console.status(Text(self._text), spinner="line")
            self._status.start()
        else:
            self._write(self._text)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, text: str) -> None:
        """Show the job as a poll returned it."""
        if self._status is not None:
            self._status.update(Text(f"{text}, {time.monotonic() - self._start:.0f} s"))
        else:
            self._write(text)

    def _write(self, text: str) -> None:
        if text != self._last:
            write_stderr(text)
            self._last = text

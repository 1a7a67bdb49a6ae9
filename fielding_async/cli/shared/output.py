"""Writing to stdout (results) and stderr (everything else) in a way that survives a closed pipe."""

import errno
import json
import os
import select
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "counted",
    "drop_stdout",
    "duration",
    "flush_stdout",
    "is_live",
    "printable",
    "stderr_console",
    "stdout_console",
    "stdout_has_reader",
    "table_width",
    "text_width",
    "write_json",
    "write_stderr",
    "write_stdout",
]


class _Stream:
    """A text stream whose reader may leave.

    After its reader has closed the pipe (`| head -1`) or the terminal, what is written is dropped: the work continues,
    and the exit status is that of the work. Characters that the encoding lacks are written as escapes.
    """

    def __init__(self, inner: TextIO | None) -> None:
        self._inner = inner  # None: this stream was closed when the process started
        self.encoding: str = getattr(inner, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        if self._inner is not None:
            encodable = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
            try:
                self._inner.write(encodable)
            except OSError as error:
                self._drop_or_raise(error)
        return len(text)

    def flush(self) -> None:
        if self._inner is not None:
            try:
                self._inner.flush()
            except OSError as error:
                self._drop_or_raise(error)

    @property
    def is_open(self) -> bool:
        """Whether what is written goes somewhere."""
        return self._inner is not None

    def isatty(self) -> bool:
        return self._inner is not None and self._inner.isatty()

    def fileno(self) -> int:
        if self._inner is None:
            raise OSError("the stream is closed")
        return self._inner.fileno()

    def _drop_or_raise(self, error: OSError) -> None:
        """Drop what is written from now on if nobody can read it; else raise the error."""
        if not isinstance(error, BrokenPipeError) and not (error.errno == errno.EIO and self._is_device()):
            raise error
        inner, self._inner = self._inner, None
        _drop(cast("TextIO", inner))

    def _is_device(self) -> bool:
        """Whether this is a terminal. One that was closed does not say so any more, but is still a device."""
        try:
            return stat.S_ISCHR(os.fstat(self.fileno()).st_mode)
        except (OSError, ValueError):
            return False


def _drop(stream: TextIO) -> None:
    """Drop what is buffered and written from now on: else the interpreter would flush it when it ends."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def drop_stdout() -> None:
    """Write nothing more to stdout, nor what is still buffered: its reader may never read on."""
    if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] - closed when the process started
        _drop(sys.stdout)


def _is_width_set() -> bool:
    """Whether COLUMNS is set to a width: a number above 0."""
    columns = os.environ.get("COLUMNS", "")
    return columns.isascii() and columns.isdigit() and columns.strip("0") != ""


def _console(inner: TextIO | None) -> "Console":
    from rich.console import Console  # here, so that commands which write plain lines start sooner

    # rich takes COLUMNS=0 for a width, and would show nothing
    width = get_terminal_size().columns if "COLUMNS" in os.environ and not _is_width_set() else None
    return Console(file=cast("TextIO", _Stream(inner)), width=width, markup=False, emoji=False, highlight=False)


def stdout_console() -> "Console":
    """Return a console on stdout, for tables and displays."""
    return _console(sys.stdout)


def stderr_console() -> "Console":
    """Return a console on stderr, for progress."""
    return _console(sys.stderr)


def is_live(console: "Console") -> bool:
    """Whether the console is a terminal that can redraw lines, whatever the environment says about colours."""
    return console.file.isatty() and not console.is_dumb_terminal


def table_width(console: "Console") -> int | None:
    """Return how wide a table may be; `None` if it goes to a file or a pipe, and COLUMNS is not set to a width."""
    return console.width if console.file.isatty() or _is_width_set() else None


def text_width() -> int | None:
    """Return the width of the terminal that stdout is, or COLUMNS; `None` if it is a file or a pipe and no COLUMNS."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()  # pyright: ignore[reportUnnecessaryComparison]
    return get_terminal_size().columns if is_terminal or _is_width_set() else None


def write_stdout(text: str = "") -> bool:
    """Write lines to stdout as they are, never wrapped, and flush. Returns whether stdout is still open."""
    stream = _Stream(sys.stdout)
    stream.write(f"{text}\n")
    stream.flush()
    return stream.is_open


def stdout_has_reader() -> bool:
    """Whether somebody can still read stdout, as far as the system says without anything being written."""
    stream = _Stream(sys.stdout)
    if not stream.is_open:
        return False
    if not hasattr(select, "poll"):
        return True  # Windows
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)  # of what can happen only errors, and that the other side hangs up
        return not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError):
        return True  # not a file of the system


def write_stderr(text: str) -> None:
    """Write lines to stderr as they are, and flush."""
    stream = _Stream(sys.stderr)
    stream.write(f"{text}\n")
    stream.flush()


def write_json(value: Mapping[str, Any]) -> bool:
    """Write a JSON object to stdout on one line, and flush. Returns whether stdout is still open."""
    return write_stdout(json.dumps(value))


def flush_stdout() -> None:
    """Flush stdout. Raises `OSError` if that fails (a full disk)."""
    _Stream(sys.stdout).flush()


def printable(text: str) -> str:
    """Return a text from outside with every character that could control a terminal written as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def counted(count: int, noun: str) -> str:
    """Return how many there are of something: `1 row`, `1,200 target groups`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a length of time in short, such as `2 h 05 min`."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"

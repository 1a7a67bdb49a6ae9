"""Writing to stdout (results) and stderr (everything else) in a way that survives a closed pipe."""

import errno
import json
import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "duration",
    "flush_stdout",
    "is_live",
    "printable",
    "stderr_console",
    "stdout_console",
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
        with suppress(OSError, ValueError):
            # else the interpreter would try to flush what is still buffered when it ends, and fail again
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, cast("TextIO", inner).fileno())
            os.close(null)

    def _is_device(self) -> bool:
        """Whether this is a terminal. One that was closed does not say so any more, but is still a device."""
        try:
            return stat.S_ISCHR(os.fstat(self.fileno()).st_mode)
        except (OSError, ValueError):
            return False


def _console(inner: TextIO | None) -> "Console":
    from rich.console import Console  # here, so that commands which write plain lines start sooner

    return Console(file=cast("TextIO", _Stream(inner)), markup=False, emoji=False, highlight=False)


def stdout_console() -> "Console":
    """Return a console on stdout, for tables and displays."""
    return _console(sys.stdout)


def stderr_console() -> "Console":
    """Return a console on stderr, for progress."""
    return _console(sys.stderr)


def is_live(console: "Console") -> bool:
    """Whether the console is a terminal that can redraw lines, whatever the environment says about colours."""
    return console.file.isatty() and not console.is_dumb_terminal


def write_stdout(text: str = "") -> None:
    """Write lines to stdout as they are, never wrapped, and flush."""
    stream = _Stream(sys.stdout)
    stream.write(f"{text}\n")
    stream.flush()


def write_stderr(text: str) -> None:
    """Write lines to stderr as they are, and flush."""
    stream = _Stream(sys.stderr)
    stream.write(f"{text}\n")
    stream.flush()


def write_json(value: Mapping[str, Any]) -> None:
    """Write a JSON object to stdout on one line, and flush."""
    write_stdout(json.dumps(value))


def flush_stdout() -> None:
    """Flush stdout. Raises `OSError` if that fails (a full disk)."""
    _Stream(sys.stdout).flush()


def printable(text: str) -> str:
    """Return a text from outside with every character that could control a terminal written as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def duration(seconds: float) -> str:
    """Return a length of time in short, such as `2 h 05 min`."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"

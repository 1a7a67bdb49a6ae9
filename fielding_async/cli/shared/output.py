"""Where text goes: stdout for results, stderr for everything else, and nothing that a closed pipe could upset."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["clean", "complain", "err", "finish", "is_live", "out", "put_json", "say"]


class _Stream:
    """A text stream that outlives its reader.

    Once whoever reads it has gone (`| head -1`), what is written is dropped, so that the work goes on and the exit
    status is that of the work. Characters that its encoding lacks are written as escapes.
    """

    def __init__(self, inner: TextIO | None) -> None:
        self._inner = inner  # None: the process was started with this stream closed
        self.encoding: str = getattr(inner, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        if self._inner is not None:
            fit = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
            try:
                self._inner.write(fit)
            except BrokenPipeError:
                self._drop()
        return len(text)

    def flush(self) -> None:
        if self._inner is not None:
            try:
                self._inner.flush()
            except BrokenPipeError:
                self._drop()

    def isatty(self) -> bool:
        return self._inner is not None and self._inner.isatty()

    def fileno(self) -> int:
        if self._inner is None:
            raise OSError("the stream is closed")
        return self._inner.fileno()

    def _drop(self) -> None:
        inner, self._inner = self._inner, None
        with suppress(OSError, ValueError):
            # what is still buffered would fail again when the interpreter flushes it at its end
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, cast("TextIO", inner).fileno())
            os.close(nowhere)


def _console(inner: TextIO | None) -> "Console":
    from rich.console import Console  # here, so that commands that write plain lines start sooner

    return Console(file=cast("TextIO", _Stream(inner)), markup=False, emoji=False, highlight=False)


def out() -> "Console":
    """Return a console on stdout, for tables and displays."""
    return _console(sys.stdout)


def err() -> "Console":
    """Return a console on stderr, for progress."""
    return _console(sys.stderr)


def is_live(console: "Console") -> bool:
    """Whether the console is a terminal on which lines can be redrawn, whatever the environment says of colours."""
    return console.file.isatty() and not console.is_dumb_terminal


def say(text: str = "") -> None:
    """Write lines to stdout as they are, never wrapped, at once."""
    stream = _Stream(sys.stdout)
    stream.write(f"{text}\n")
    stream.flush()


def complain(text: str) -> None:
    """Write lines to stderr as they are, at once."""
    stream = _Stream(sys.stderr)
    stream.write(f"{text}\n")
    stream.flush()


def put_json(value: Mapping[str, Any]) -> None:
    """Write a JSON object to stdout, on one line, at once."""
    say(json.dumps(value))


def finish() -> None:
    """Write out what is still buffered. Raises `OSError` if that cannot be done (a full disk)."""
    _Stream(sys.stdout).flush()


def clean(text: str) -> str:
    """Return text from elsewhere with everything that could act on a terminal written as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )

"""Asks whether to do something that cannot be undone."""

import sys
from contextlib import suppress

from fielding_async.core.errors import ConfigurationError

from .output import write_stderr
from .signal_handling import Interrupted

__all__ = ["is_agreed"]


def is_agreed(question: str, advice: str) -> bool:
    """Ask on the terminal, and return whether the answer is yes.

    Raises `ConfigurationError`, with `advice`, if stdin or stderr is no terminal.
    """
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):  # pyright: ignore[reportUnnecessaryComparison]
        raise ConfigurationError(f"there is no terminal to ask on: {advice}")
    _discard_typed()
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
        answer = sys.stdin.readline()
    except UnicodeDecodeError:
        answer = "\n"  # typed in another encoding: no "yes" in any of them
    except Interrupted:
        write_stderr("")  # what follows has a line of its own
        raise
    if not answer.endswith("\n"):
        write_stderr("")
    return answer.strip().lower() in {"y", "yes"}


def _discard_typed() -> None:
    """Discard what was typed before the question was shown."""
    with suppress(ImportError, OSError, ValueError):
        import termios  # not on Windows

        termios.tcflush(sys.stdin, termios.TCIFLUSH)

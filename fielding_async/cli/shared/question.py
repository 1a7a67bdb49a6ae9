"""The question before the first write."""

import sys
from contextlib import suppress

import click

from fielding_async.cli.shared.exit_status import Exit
from fielding_async.cli.shared.output import write_stderr
from fielding_async.cli.shared.signal_handling import Interrupted
from fielding_async.core.errors import ConfigurationError

__all__ = ["ask"]


def ask() -> None:
    """Ask before the first write of a plan. Ends the command unless the answer is yes."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):  # pyright: ignore[reportUnnecessaryComparison]
        raise ConfigurationError("nobody is there to be asked: give --yes to apply the plan; nothing was sent")
    _discard_typed()
    try:
        sys.stderr.write("Apply it? [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
    except UnicodeDecodeError:
        answer = "\n"  # typed in another encoding: no "yes" in any of them
    except Interrupted:
        write_stderr("")  # what follows has a line of its own
        raise
    if not answer.endswith("\n"):
        write_stderr("")
    if answer.strip().lower() not in {"y", "yes"}:
        write_stderr("fielding: apply: not applied; nothing was sent")
        raise click.exceptions.Exit(Exit.FAILED)


def _discard_typed() -> None:
    """Discard what was typed before the question was shown."""
    with suppress(ImportError, OSError, ValueError):
        import termios  # not on Windows

        termios.tcflush(sys.stdin, termios.TCIFLUSH)

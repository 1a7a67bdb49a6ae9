"""Runs the work of a command, and turns errors and signals into lines on stderr and exit statuses."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn

import click

from fielding_async.core.errors import ConfigurationError, FieldingError, OutcomeUnknownError

from .output import write_json, write_stderr
from .signal_handling import Interrupted, run_async
from .value_texts import error_lines, error_object

__all__ = [
    "Exit",
    "perform",
    "report_cancelled",
    "report_error",
    "report_interrupted",
    "reporting_errors",
    "silence_log",
    "status_of",
]


class Exit(IntEnum):
    """The exit statuses. A process that a signal ended exits with 128 plus the number of the signal."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNKNOWN = 3


def status_of(error: FieldingError) -> Exit:
    """Return the exit status for an error."""
    if isinstance(error, ConfigurationError):
        return Exit.USAGE
    return Exit.UNKNOWN if isinstance(error, OutcomeUnknownError) else Exit.FAILED


def report_error(error: FieldingError, *, doing: str, as_json: bool, **more: object) -> None:
    """Write an error to stderr for people and, with `--json`, as an object to stdout as well."""
    write_stderr("\n".join(error_lines(error, doing)))
    if as_json:
        write_json(error_object(error, **more))


def report_cancelled(cancelled: asyncio.CancelledError, otherwise: str) -> None:
    """Write what a cancelled call may have applied: its notes, or `otherwise` if it has none (nothing was applied)."""
    notes: list[str] = getattr(cancelled, "__notes__", [])
    for note in notes or [otherwise]:
        write_stderr(f"fielding: {note.removeprefix('fielding-async: ')}")


def report_interrupted(interrupted: Interrupted, *, doing: str, has_begun: bool) -> int:
    """Write which signal ended a command, and return the exit status for it."""
    what = f"interrupted by {interrupted.name}" if has_begun else f"{interrupted.name}: nothing was sent"
    write_stderr(f"fielding: {doing}: {what}")
    return interrupted.status


@contextmanager
def reporting_errors(*, doing: str, as_json: bool) -> Generator[None]:
    """Report an error raised in the block, and exit with its status."""
    try:
        yield
    except FieldingError as error:
        report_error(error, doing=doing, as_json=as_json)
        raise click.exceptions.Exit(status_of(error)) from None


def silence_log() -> None:
    """Keep the SDK's log off stderr: the commands report themselves what it says."""
    logging.getLogger("fielding_async").addHandler(logging.NullHandler())


def perform(
    work: Callable[[], Coroutine[Any, Any, int]],
    *,
    doing: str,
    as_json: bool,
    on_signal: Callable[[signal.Signals], bool] | None = None,
    has_begun: Callable[[], bool] = lambda: True,
) -> NoReturn:
    """Run the work of a command, report its errors, and exit through click with its status.

    `on_signal`: as in `run_async`. `has_begun`: whether a signal can no longer say that nothing was sent.
    """
    silence_log()
    with reporting_errors(doing=doing, as_json=as_json):
        try:
            status = run_async(work, on_signal=on_signal)
        except Interrupted as interrupted:
            status = report_interrupted(interrupted, doing=doing, has_begun=has_begun())
    raise click.exceptions.Exit(status)

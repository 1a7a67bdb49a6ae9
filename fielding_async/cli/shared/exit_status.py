"""How every command runs its work: one place where errors and signals become lines and exit statuses."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn

import click

from fielding_async.core.errors import ConfigurationError, FieldingError, OutcomeUnknownError

from .output import complain, put_json
from .render import error_lines, error_object
from .signal_handling import Interrupted, run_async

__all__ = ["Exit", "perform", "report", "reporting", "status_of", "tell_cancelled"]


class Exit(IntEnum):
    """The exit statuses. A process ended by a signal exits with 128 and the signal's number."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNKNOWN = 3


def status_of(error: FieldingError) -> Exit:
    """Return the exit status for an error."""
    if isinstance(error, ConfigurationError):
        return Exit.USAGE
    return Exit.UNKNOWN if isinstance(error, OutcomeUnknownError) else Exit.FAILED


def report(error: FieldingError, *, doing: str, as_json: bool, **more: object) -> None:
    """Write an error to stderr for people and, with `--json`, as an object to stdout as well."""
    complain("\n".join(error_lines(error, doing)))
    if as_json:
        put_json(error_object(error, **more))


def tell_cancelled(cancelled: asyncio.CancelledError, otherwise: str) -> None:
    """Say what a cancelled call may have done: its notes, or `otherwise` where nothing can have been applied."""
    notes: list[str] = getattr(cancelled, "__notes__", [])
    for note in notes or [otherwise]:
        complain(f"fielding: {note.removeprefix('fielding-async: ')}")


@contextmanager
def reporting(*, doing: str, as_json: bool) -> Generator[None]:
    """Turn an error into lines and an exit status."""
    try:
        yield
    except FieldingError as error:
        report(error, doing=doing, as_json=as_json)
        raise click.exceptions.Exit(status_of(error)) from None


def perform(
    work: Callable[[], Coroutine[Any, Any, int]],
    *,
    doing: str,
    as_json: bool,
    heed: Callable[[signal.Signals], bool] | None = None,
) -> NoReturn:
    """Run the work of a command, write what goes wrong, and leave click with the exit status.

    `heed`: as `run_async` has it.
    """
    # what the SDK logs is said by the commands themselves, in their own words
    logging.getLogger("fielding_async").addHandler(logging.NullHandler())
    with reporting(doing=doing, as_json=as_json):
        try:
            status = run_async(work, heed=heed)
        except Interrupted as interrupted:
            complain(f"fielding: {doing}: interrupted by {interrupted.name}")
            status = interrupted.status
    raise click.exceptions.Exit(status)

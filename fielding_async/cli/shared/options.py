"""Arguments and options that several commands have, and the values read from them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from fielding_async.core.dates import parse_timestamp
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_ref
from fielding_async.core.models import RunRef

__all__ = ["json_option", "on_conflict_option", "run_argument", "run_ref", "timeout_option", "timestamp"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def timestamp(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """Callback of an option: return an RFC 3339 date and time; ambiguous forms are refused as bad parameters."""
    if text is None:
        return None
    try:
        return parse_timestamp(text)
    except ValueError:
        problem = "is not an RFC 3339 date and time, such as 2026-08-31T18:00:00Z"
        if _is_timestamp(f"{text}Z"):
            problem = "has no time zone: add Z for UTC, or an offset such as +02:00"
        raise click.BadParameter(f"{text!r} {problem}") from None


def _is_timestamp(text: str) -> bool:
    try:
        parse_timestamp(text)
    except ValueError:
        return False
    return True


def json_option(command: _Command) -> _Command:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout, one object per line.")(command)


def timeout_option(text: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds `--timeout`. `text`: its help."""
    kind = click.FloatRange(min=0, min_open=True)
    return click.option("--timeout", type=kind, metavar="SECONDS", help=text)


def on_conflict_option(command: _Command) -> _Command:
    """Add `--on-conflict`."""
    return click.option(
        "--on-conflict",
        type=click.Choice(["reapply", "raise"]),
        default="reapply",
        show_default=True,
        help="When somebody else changed the run: look at it and send again if still needed, or give up.",
    )(command)


def run_argument(command: _Command) -> _Command:
    """Add the argument that names a run, and the options for its other three ids."""
    for decorate in (
        click.option("--target-group", metavar="ID", help="Target group id (26 characters)."),
        click.option("--project", metavar="ID", help="Project id (26 characters)."),
        click.option("--account", type=int, metavar="NUMBER", help="Account id."),
        click.argument("run_id", metavar="RUN"),
    ):
        command = decorate(command)
    return command


def run_ref(run_id: str, account: int | None, project: str | None, target_group: str | None) -> RunRef:
    """Return the run that the arguments name: four ids in one text, or a run id with the options for the other three.

    Raises `click.UsageError`.
    """
    options = {"--account": account, "--project": project, "--target-group": target_group}
    if "/" in run_id:
        given = [name for name, value in options.items() if value is not None]
        if given:
            raise click.UsageError(f"RUN names all four ids already; leave out {' and '.join(given)}.")
        parts = run_id.split("/")
        number = parts[0]
        if len(parts) != 4 or not (number.isascii() and number.isdigit()):
            raise click.UsageError(f"{run_id!r} is not of the form ACCOUNT/PROJECT/TARGET-GROUP/RUN.")
        return _checked(RunRef(int(number), *parts[1:]))
    missing = [name for name, value in options.items() if value is None]
    if account is None or project is None or target_group is None:
        raise click.UsageError(
            f"Missing {' and '.join(missing)}. Or name the run as ACCOUNT/PROJECT/TARGET-GROUP/RUN, in one argument."
        )
    return _checked(RunRef(account, project, target_group, run_id))


def _checked(ref: RunRef) -> RunRef:
    try:
        return check_ref(ref)
    except ConfigurationError as error:
        raise click.UsageError(error.message) from None

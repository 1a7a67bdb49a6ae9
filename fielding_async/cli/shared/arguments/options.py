"""Arguments and options that several commands have, and the values read from them."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from fielding_async.core.dates import parse_timestamp
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_ref
from fielding_async.core.models import RunRef

from .numbers import Number, WholeNumber
from .places import GROUP, GroupRef, checked_group, named_ids

__all__ = [
    "FilePath",
    "id_options",
    "json_option",
    "on_conflict_option",
    "pace_options",
    "rate_problem",
    "run_argument",
    "run_or_group",
    "run_ref",
    "timeout_option",
    "timestamp",
]

_SLOWEST, _FASTEST = 1e-6, 1e9  # requests a second

_Command = TypeVar("_Command", bound=Callable[..., Any])


class FilePath(click.Path):
    """The path of a file, as a value of `path_type`. An empty one is refused: it would become that of this folder."""

    def __init__(self, path_type: type[str] | type[Path]) -> None:
        super().__init__(readable=False, path_type=path_type)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; fails with a usage error that names the option or argument."""
        if value == "":
            self.fail("it is empty: name a file", param, ctx)
        return super().convert(value, param, ctx)


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
    kind = Number(min=0, min_open=True)
    return click.option("--timeout", type=kind, metavar="SECONDS", help=text)


def on_conflict_option(command: _Command) -> _Command:
    """Add `--on-conflict`."""
    return click.option(
        "--on-conflict",
        type=click.Choice(["reapply", "raise"]),
        default="reapply",
        show_default=True,
        help="When somebody else changed the run: fetch it and send again if still needed, or give up.",
    )(command)


def pace_options(command: _Command) -> _Command:
    """Add `--concurrency` and `--rate`, for a command that sends many rows."""
    command = click.option(
        "--rate",
        type=Number(min=0, min_open=True),
        metavar="NUMBER",
        help="Send so many requests a second, evenly paced. [default: as many as the server takes]",
    )(command)
    return click.option(
        "--concurrency",
        type=WholeNumber(1, 1000),
        default=32,
        show_default=True,
        metavar="NUMBER",
        help="Rows at once.",
    )(command)


def rate_problem(rate: float | None) -> str | None:
    """Return what is wrong with the value of `--rate`, `None` if nothing is."""
    if rate is None or _SLOWEST <= rate <= _FASTEST:
        return None
    return f"--rate {rate:g}: must be requests a second, {_SLOWEST:g} to {_FASTEST:g}"


def id_options(*names: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the options for ids: some of `account`, `project` and `target_group`."""

    def decorate(command: _Command) -> _Command:
        for name in reversed(names):
            command = _ID_OPTIONS[name](command)
        return command

    return decorate


_ID_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "account": click.option("--account", type=WholeNumber(), metavar="NUMBER", help="Account id."),
    "project": click.option("--project", metavar="ID", help="Project id (26 characters)."),
    "target_group": click.option("--target-group", metavar="ID", help="Target group id (26 characters)."),
}


def run_argument(command: _Command) -> _Command:
    """Add the argument that names a run, and the options for its other three ids."""
    return click.argument("run_id", metavar="RUN")(id_options("account", "project", "target_group")(command))


def run_ref(
    run_id: str, account: int | None, project: str | None, target_group: str | None, form: str = f"{GROUP}/RUN"
) -> RunRef:
    """Return the run that the arguments name: four ids in one text, or a run id with the options for the other three.

    `form`: the forms of the text, for messages. Raises `click.UsageError`.
    """
    options = {"--account": account, "--project": project, "--target-group": target_group}
    number, *ids = named_ids(run_id, "RUN", "run", form, options, "`fielding list runs ACCOUNT/PROJECT` shows them")
    try:
        return check_ref(RunRef(int(number), *ids))
    except ConfigurationError as error:
        raise click.UsageError(error.message) from None


def run_or_group(
    run_id: str, account: int | None, project: str | None, target_group: str | None
) -> "RunRef | GroupRef":
    """Return the run that the arguments name, or the target group whose only run it is. Raises `click.UsageError`."""
    if run_id.count("/") == 2 and (account, project, target_group) == (None, None, None):
        return checked_group(*named_ids(run_id, "RUN", "run", GROUP, {"--account": None, "--project": None}))
    return run_ref(run_id, account, project, target_group, f"{GROUP}[/RUN]")

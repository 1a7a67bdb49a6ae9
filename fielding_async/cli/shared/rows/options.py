"""The options by which rows on record are selected. Costs little to import."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from fielding_async.cli.shared.arguments.options import json_option, timestamp

__all__ = ["check_filters", "filter_options"]

_EFFECTS = ("accepted", "already", "unconfirmed", "failed", "unknown", "skipped", "stuck", "in-flight")
_Command = TypeVar("_Command", bound=Callable[..., Any])


def filter_options(*more: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the options by which rows are selected, `--json` and `--csv`.

    `more`: effects that only these rows can have.
    """
    options = (
        click.option("--target-group", metavar="ID", help="Only rows of this target group."),
        click.option("--run", metavar="ID", help="Only rows of this fielding run."),
        click.option("--since", callback=timestamp, metavar="TIME", help="Only rows that ended at this time or later."),
        click.option("--until", callback=timestamp, metavar="TIME", help="Only rows that ended before this time."),
        click.option(
            "--effect",
            "effects",
            type=click.Choice((*_EFFECTS, *more)),
            metavar="EFFECT" if more else None,
            multiple=True,
            help="Only rows with this effect. May be given several times.",
        ),
        json_option,
        click.option("--csv", "as_csv", is_flag=True, help="Write CSV to stdout, safe to open in a spreadsheet."),
    )

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def check_filters(*, as_json: bool, as_csv: bool, since: datetime | None, until: datetime | None) -> None:
    """Raise `click.UsageError` for options that exclude each other."""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other: give one of them.")
    if since is not None and until is not None and until <= since:
        raise click.UsageError("--until must be after --since.")

"""One `fielding list` command: the options that all of them have, and how a list is read and written."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click
from attrs import frozen

from fielding_async.cli.shared.arguments.options import json_option
from fielding_async.cli.shared.exit_status import report_error
from fielding_async.cli.shared.output import (
    counted,
    is_live,
    stderr_console,
    stdout_console,
    table_width,
    write_json,
    write_stderr,
)
from fielding_async.core.errors import ConfigurationError, NotFoundError

from .notes import list_notes

if TYPE_CHECKING:
    from fielding_async import FieldingSession

    from .views import View

__all__ = ["Form", "Order", "list_options", "read_list", "write_list"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Item = TypeVar("_Item")
_Item_co = TypeVar("_Item_co", covariant=True)

_OPTIONS = {
    "search": "--search",
    "project_manager_id": "--project-manager",
    "country": "--country",
    "language": "--language",
    "human_readable_ids": "--short-id",
    "target_group_customer_reference_numbers": "--reference",
    "status": "--status",
    "target_group_status": "--target-group-status",
}
"""The option for each argument of the SDK, for its messages."""

_ARGUMENT = re.compile(r"(?P<name>\w+)(?:\[\d+\])?(?P<mark>=|: )")


class Closable(Protocol[_Item_co]):
    """An iterator that is closed when it is left."""

    def __aiter__(self) -> AsyncIterator[_Item_co]: ...

    async def __anext__(self) -> _Item_co: ...

    async def aclose(self) -> None:
        """End it."""
        ...


class Rows(Protocol[_Item_co]):
    """What `list_…()` and `find_runs()` return."""

    def __aiter__(self) -> Closable[_Item_co]: ...


@frozen(kw_only=True)
class Form:
    """How a list is written, and how much of it: at most `limit` entries, `None` for all."""

    as_json: bool = False
    as_csv: bool = False
    limit: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.as_json and self.as_csv:
            raise click.UsageError("--json and --csv exclude each other: give one of them.")


@frozen(kw_only=True)
class Order:
    """A list that is asked for.

    `doing`: the name of the command. `hint`: what helps if the server does not know what the list belongs to.
    `is_filtered`: whether entries may have been left out by filters.
    """

    doing: str
    form: Form
    hint: str = ""
    is_filtered: bool = False


def _limit(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """Read `--limit`."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise click.BadParameter(f"{text!r} is not a number of entries, 1 or more; leave --limit out for all of them")
    return int(text)


def list_options(command: _Command) -> _Command:
    """Add `--limit`, `--csv` and `--json`."""
    command = json_option(command)
    help_text = "Write CSV to stdout, safe to open in a spreadsheet."
    command = click.option("--csv", "as_csv", is_flag=True, help=help_text)(command)
    return click.option(
        "--limit", metavar="NUMBER", callback=_limit, help="Stop after this many entries. [default: all]"
    )(command)


async def read_list(
    order: Order, noun: str, rows: Callable[["FieldingSession"], Rows[_Item]]
) -> tuple[list[_Item], int] | None:
    """Read a list up to its limit. Returns its entries, and how many vanished while it was read.

    `None`, and a message, if the server does not know what it belongs to. Raises `FieldingError`.
    """
    from fielding_async import FieldingSession

    console = stderr_console()
    status = console.status(f"{order.doing}: reading", spinner="line") if is_live(console) else nullcontext()
    found: list[_Item] = []
    try:
        with status as shown:
            async with FieldingSession() as fielding, aclosing(aiter(_checked(rows, fielding))) as iterator:
                async for item in iterator:
                    found.append(item)
                    if shown is not None:
                        shown.update(f"{order.doing}: {counted(len(found), noun)} so far")
                    if len(found) == order.form.limit:
                        break
    except NotFoundError as error:
        report_error(error, doing=order.doing, as_json=order.form.as_json)
        write_stderr(f"  {order.hint}")
        return None
    return found, getattr(iterator, "vanished", 0)


def _checked(rows: Callable[["FieldingSession"], Rows[_Item]], fielding: "FieldingSession") -> Rows[_Item]:
    """Return what is to be read. Messages about arguments of the SDK name the options instead."""
    try:
        return rows(fielding)
    except ConfigurationError as error:
        match = _ARGUMENT.match(error.message)
        if match is None or match["name"] not in _OPTIONS:
            raise
        rest = error.message[match.end() :]
        raise ConfigurationError(_OPTIONS[match["name"]] + (" " if match["mark"] == "=" else ": ") + rest) from None


def write_list(order: Order, view: "View[_Item]", found: Sequence[_Item], vanished: int) -> None:
    """Write a list as asked, and how many entries it has."""
    form = order.form
    notes = list_notes(len(found), form.limit, vanished)
    if not found:
        notes.insert(0, "none" + (" that these options select" if order.is_filtered else ""))
    if form.as_csv:
        from fielding_async.cli.shared.csv_output import write_csv

        write_csv(view.csv_columns, map(view.csv_cells, found))
    elif form.as_json:
        for item in found:
            write_json(view.as_object(item))
    elif found:
        left_out = _write_table(view, found)
        notes.insert(0, counted(len(found), view.noun))
        if left_out:
            notes.append(f"columns that do not fit: {', '.join(left_out)}; --csv and --json have all columns")
    if notes:
        write_stderr(f"fielding: {order.doing}: {'; '.join(notes)}")


def _write_table(view: "View[_Item]", found: Sequence[_Item]) -> tuple[str, ...]:
    """Write a table. Returns the titles of the columns that do not fit."""
    from fielding_async.cli.shared.text_table import lay_out, table_lines

    console = stdout_console()
    rows = [view.texts(item) for item in found]
    layout = lay_out(view.columns, rows, table_width(console))
    for line in table_lines(view.columns, rows, layout):
        console.print(line, soft_wrap=True)
    return layout.left_out

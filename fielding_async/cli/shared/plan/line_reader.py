"""Reads the lines of a plan, CSV in several dialects or JSON Lines, as a stream of rows. Pure."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef

from .cells.actions import ACTIONS, plain_action
from .cells.hints import MISSING
from .cells.ids import NO_RUN, REF
from .file_kinds import LAID_OUT, check_first_line, shown
from .header import KNOWN, column_name, read_header
from .json_rows import read_json, read_objects
from .lines import BadTextError, Lines, bad_line, text_lines
from .row import COLUMNS, ERROR, IF_MATCH, BadLine, Defaults, PlanRow, read_row

__all__ = ["FORMULA", "read_lines"]

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20'")
"""First characters of a cell that a spreadsheet may take for a formula (or hide, for the last one).

A `'` is written before such a cell.
"""

_DELIMITERS = (",", ";", "\t", "|")
_ROW_NAMES = "R (row.names = FALSE) and pandas (index=False) write row names so unless they are configured not to"
_COMMENT = "is a comment: a plan has none; delete such lines"
_PLAIN_CELLS = {  # as programs write them that quote nothing: one match reads the whole line
    "account_id": r"\d{1,9}",
    "project_id": "[0-9A-Z]{26}",
    "target_group_id": "[0-9A-Z]{26}",
    "fielding_run_id": "[A-Za-z0-9_-]{1,200}",
    "action": "[a-z-]{1,20}",
    "start_fielding_at": "[0-9TZ:.+-]{0,40}",
    "end_fielding_at": "[0-9TZ:.+-]{0,40}",
}


def read_lines(
    lines: Lines | Iterable[str], defaults: Defaults, skip: Callable[[], None] | None = None
) -> Iterator[PlanRow | BadLine]:
    """Yield, for each row of a plan, the row or what is wrong with it. `lines`: all lines, with their line ends.

    `skip`: called before the first row is read, it makes `lines` go on at a later row. Bytes that are not UTF-8 must be
    lone surrogates (`surrogateescape`). Raises `ConfigurationError` if the lines
    cannot be a plan: a column is missing, unknown or repeated, or there are no lines.
    """
    counted = lines if isinstance(lines, Lines) else Lines(iter(lines))
    for line in text_lines(counted):
        if isinstance(line, BadLine):
            raise ConfigurationError(f"line {line.line}: {line.text}")
        if not line.strip():
            continue
        check_first_line(counted.number, line)
        if line.lstrip().startswith("{"):
            if skip is None:
                return _one_form(read_json(line, counted, defaults))
            skip()
            return _one_form(read_objects(counted, defaults))
        return _read_csv(line, counted, defaults, skip)
    raise ConfigurationError("is empty: the first line of a plan names its columns: write them, or name another file")


def _read_csv(
    first: str, lines: Lines, defaults: Defaults, skip: Callable[[], None] | None
) -> Iterator[PlanRow | BadLine]:
    delimiter = None
    separator_line = first.strip(" \r\n").strip('"')
    if separator_line[:4].lower() == "sep=" and separator_line[4:] in _DELIMITERS:  # how Excel names the delimiter
        delimiter = separator_line[4:]
        first = next((line for line in text_lines(lines) if isinstance(line, str)), "")
    delimiter = delimiter or max(_DELIMITERS, key=lambda mark: len(_known(first, mark)))
    header_at = lines.number
    try:
        (header,) = csv.reader([first], delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise ConfigurationError(f"line {header_at} {_csv_problem(error)}; the line is {shown(first)}") from None
    columns = read_header(header, header_at, first, defaults)
    if skip is not None:
        skip()
    rows = _read_cells(columns, lines, delimiter, defaults)
    return _one_form(rows) if REF in columns else rows


def _one_form(rows: Iterator[PlanRow | BadLine]) -> Iterator[PlanRow | BadLine]:
    """Yield the rows; in place of one that names no run where the first row names its run, or the reverse, a bad line.

    A row whose run was left out by mistake would otherwise be sent for whatever run its target group has.
    """
    names_runs = None
    first = 0
    for row in rows:
        if isinstance(row, PlanRow):
            names_run = row.ref.fielding_run_id != NO_RUN
            if names_runs is None:
                names_runs, first = names_run, row.line
            if names_run != names_runs:
                what, others = ("a run", "none") if names_run else ("no run", "one")
                remedy = "name the run in every row, or in none"
                yield bad_line(row.line, f"names {what}, and line {first} names {others}: {remedy}")
                continue
        yield row


def _known(header: str, delimiter: str) -> set[str]:
    """Return the names of a plan's columns that a header has if it is split at this delimiter."""
    return {column_name(cell.strip().strip('"')) for cell in header.split(delimiter)} & KNOWN


def _read_cells(columns: list[str], lines: Lines, delimiter: str, defaults: Defaults) -> Iterator[PlanRow | BadLine]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    plain = _plain_line(columns, delimiter)
    while True:
        if plain is not None:
            yield from _read_plain(plain, lines)
        line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except BadTextError as error:
            yield bad_line(line, str(error))
            continue
        except csv.Error as error:
            yield bad_line(line, _csv_problem(error), f" (read up to line {lines.number})" * (lines.number > line))
            continue
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        row = _by_column(columns, cells, defaults)
        if isinstance(row, tuple):
            yield _foreign(line, columns, cells, delimiter) or bad_line(line, *row)
            continue
        found = read_row(line, row, defaults)
        if isinstance(found, BadLine):
            found = _foreign(line, columns, cells, delimiter) or found
        yield found


def _plain_line(columns: list[str], delimiter: str) -> re.Pattern[str] | None:
    """Return what a line of plain cells matches; `None` if these columns have no such lines."""
    names = {*columns}
    if len(names) < len(columns) or not {*COLUMNS[:5]} <= names <= {*COLUMNS}:
        return None
    cells = re.escape(delimiter).join(f"(?P<{name}>{_PLAIN_CELLS[name]})" for name in columns)
    absent = "".join(f"(?P<{name}>)" for name in COLUMNS if name not in names)
    return re.compile(f"{cells}{absent}(?:\r\n|\n|\r)?", re.ASCII)


def _read_plain(plain: re.Pattern[str], lines: Lines) -> Iterator[PlanRow]:
    """Yield the rows up to the first line that is not plain, or is not right; that line is held."""
    match = plain.fullmatch
    groups = [plain.groupindex[name] for name in COLUMNS]
    for text in lines.inner:
        found = match(text)
        if found is None:
            lines.held = text
            return
        account, project, group, run, name, start, end = found.group(*groups)
        action = plain_action(name, start, end)
        if action is None or run in MISSING:
            lines.held = text
            return
        lines.number += 1
        lines.bytes += len(text)
        yield PlanRow(lines.number, RunRef(int(account), project, group, run), action)


def _by_column(columns: list[str], cells: list[str], defaults: Defaults) -> dict[str, str] | tuple[str, str]:
    """Return the cells by column, or what is wrong with them: the kind of problem, and details."""
    if len(cells) < len(columns):
        return "has too few cells: is it cut off?", f" ({len(cells)}, the header has {len(columns)})"
    if any(cells[len(columns) :]):
        return "has more cells than the header", f" ({len(cells)}, the header has {len(columns)})"
    if (
        "" in columns
        and not defaults.ignores_extra
        and any(cell for name, cell in zip(columns, cells, strict=False) if not name)
    ):
        why = f": {_ROW_NAMES}" if not columns[0] else ""
        return f"has a value in a column without a name{why}; remove the column, or give --ignore-columns", ""
    row = dict(zip(columns, cells, strict=False))
    for name in ("fielding_run_id", IF_MATCH):
        cell = row.get(name, "")
        if cell[:1] == "'" and cell[1:2] in FORMULA:
            row[name] = cell[1:]
    return row


def _foreign(line: int, columns: list[str], cells: list[str], delimiter: str) -> BadLine | None:
    """Return what is wrong with a line that is none of a plan in CSV: a comment, a rule, or a row name before it."""
    if cells[0].startswith("#") and columns[0] != ERROR:
        return bad_line(line, _COMMENT, f": {shown(delimiter.join(cells))}")
    if all(set(cell) <= {"-", "+", ":"} for cell in cells):
        return bad_line(line, LAID_OUT)
    if len(cells) == len(columns) + 1 and cells[columns.index("action") + 1].lower() in ACTIONS:
        return bad_line(line, f"has one cell more than the header, a row name: {_ROW_NAMES}")
    return None


def _csv_problem(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "opens a quote that is never closed"
    if "field larger" in text:
        return "has a cell that is far too long: is a quote not closed?"
    if "expected after" in text:
        return "has text right after a closing quote: is a quote too many or too few?"
    return f"is not CSV: {text}"

"""Reads the lines of a plan, CSV in several dialects or JSON Lines, as a stream of rows. Pure."""

import csv
from collections.abc import Iterable, Iterator

from fielding_async.core.errors import ConfigurationError

from .file_kinds import LAID_OUT, check_first_line, shown
from .header import KNOWN, column_name, read_header
from .json_rows import read_json
from .lines import BadTextError, Lines, bad_line, text_lines
from .row import ACTIONS, ERROR, IF_MATCH, BadLine, Defaults, PlanRow, read_row

__all__ = ["FORMULA", "read_lines"]

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20'")
"""First characters of a cell that a spreadsheet may take for a formula (or hide, for the last one).

A `'` is written before such a cell.
"""

_DELIMITERS = (",", ";", "\t", "|")
_ROW_NAMES = "R (row.names = FALSE) and pandas (index=False) write row names so unless they are told not to"
_COMMENT = "is a comment: a plan has none; delete such lines"


def read_lines(lines: Iterable[str], defaults: Defaults) -> Iterator[PlanRow | BadLine]:
    """Yield, for each row of a plan, the row or what is wrong with it. `lines`: all lines, with their line ends.

    Bytes that are not UTF-8 must be lone surrogates (`surrogateescape`). Raises `ConfigurationError` if the lines
    cannot be a plan: a column is missing, unknown or repeated, or there are no lines.
    """
    counted = Lines(iter(lines))
    for line in text_lines(counted):
        if isinstance(line, BadLine):
            raise ConfigurationError(f"line {line.line}: {line.text}")
        if not line.strip():
            continue
        check_first_line(counted.number, line)
        if line.lstrip().startswith("{"):
            return read_json(line, counted, defaults)
        return _read_csv(line, counted, defaults)
    raise ConfigurationError("is empty: the first line of a plan names its columns")


def _read_csv(first: str, lines: Lines, defaults: Defaults) -> Iterator[PlanRow | BadLine]:
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
    return _read_cells(read_header(header, header_at, first, defaults), lines, delimiter, defaults)


def _known(header: str, delimiter: str) -> set[str]:
    """Return the names of a plan's columns that a header has if it is split at this delimiter."""
    return {column_name(cell.strip().strip('"')) for cell in header.split(delimiter)} & KNOWN


def _read_cells(columns: list[str], lines: Lines, delimiter: str, defaults: Defaults) -> Iterator[PlanRow | BadLine]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
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

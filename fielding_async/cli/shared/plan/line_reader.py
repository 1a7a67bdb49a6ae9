"""Reads the lines of a plan, CSV in several dialects or JSON Lines, as a stream of rows. Pure."""

import csv
import json
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, cast

from attrs import define

from fielding_async.core.errors import ConfigurationError

from .row import COLUMNS, ERROR, BadLine, Defaults, PlanRow, Problem, read_row

__all__ = ["FORMULA", "LONGEST", "check_head", "read_lines"]

LONGEST = 1 << 20
"""The longest line that is accepted, in characters: a file that is not a plan may have no line ends at all."""

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20'")
"""First characters of a cell that a spreadsheet may take for a formula (or hide, for the last one).

A `'` is written before such a cell.
"""

_DELIMITERS = (",", ";", "\t")
_SEPARATORS = (*_DELIMITERS, "|")
_REQUIRED = COLUMNS[2:5]
_OPTIONS = {"account_id": "--account", "project_id": "--project"}
_HEADS = (
    (b"\xff\xfe", "is UTF-16 text: in Excel, save it as 'CSV UTF-8 (comma delimited)'"),
    (b"\xfe\xff", "is UTF-16 text: in Excel, save it as 'CSV UTF-8 (comma delimited)'"),
    (b"PK\x03\x04", "is a workbook or an archive, not CSV: in Excel, save it as 'CSV UTF-8 (comma delimited)'"),
    (b"\xd0\xcf\x11\xe0", "is a workbook, not CSV: in Excel, save it as 'CSV UTF-8 (comma delimited)'"),
    (b"\x1f\x8b", "is compressed: unpack it first"),
    (b'{"fielding_journal"', "is the journal of a plan, not a plan"),
)


def check_head(head: bytes) -> None:
    """Raise `ConfigurationError` if a file that begins with these bytes is of a kind that is no plan."""
    for magic, problem in _HEADS:
        if head.startswith(magic):
            raise ConfigurationError(problem)
    if head[:1] == b"\0" or head[1:2] == b"\0":
        raise ConfigurationError("is UTF-16 or binary, not UTF-8 text: in Excel, save it as 'CSV UTF-8'")


class _BadTextError(Exception):
    """A line that is not text."""


@define(eq=False)
class _Lines:
    """Iterates over lines and counts them. A line that is not text raises `_BadTextError`; later lines still follow."""

    inner: Iterator[str]
    number: int = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self.inner)
        self.number += 1
        if len(line) > LONGEST:
            raise ConfigurationError(f"line {self.number} is longer than {LONGEST:,} characters: this is no plan")
        if line.isascii() and "\0" not in line:
            return line
        if "\0" in line:
            raise _BadTextError("holds a NUL character")
        if any("\udc80" <= character <= "\udcff" for character in line):
            raise _BadTextError("is not UTF-8 text")
        return line


def read_lines(lines: Iterable[str], defaults: Defaults) -> Iterator[PlanRow | BadLine]:
    """Yield, for each row of a plan, the row or what is wrong with it. `lines`: all lines, with their line ends.

    Bytes that are not UTF-8 must be lone surrogates (`surrogateescape`). Raises `ConfigurationError` if the lines
    cannot be a plan: a column is missing, unknown or repeated, or there are no lines.
    """
    counted = _Lines(iter(lines))
    for line in _text_lines(counted):
        if isinstance(line, BadLine):
            raise ConfigurationError(f"line {line.line}: {line.text}")
        if not line.strip():
            continue
        if line.lstrip().startswith("{"):
            return _read_json(line, counted, defaults)
        if line.lstrip().startswith("["):
            raise ConfigurationError("is a JSON array: a plan in JSON has one object on each line")
        return _read_csv(line, counted, defaults)
    raise ConfigurationError("is empty: the first line of a plan names its columns")


def _text_lines(lines: _Lines) -> Iterator[str | BadLine]:
    """Yield each line, or a bad line in place of one that is not text."""
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except _BadTextError as error:
            yield _bad(lines.number, str(error))
            continue
        yield line


def _bad(line: int, text: str, more: str = "") -> BadLine:
    return BadLine(line, (Problem(text, text + more),))


# -- CSV


def _read_csv(first: str, lines: _Lines, defaults: Defaults) -> Iterator[PlanRow | BadLine]:
    delimiter = None
    separator_line = first.strip(" \r\n").strip('"')
    if separator_line[:4].lower() == "sep=" and separator_line[4:] in _SEPARATORS:  # how Excel names the delimiter
        delimiter = separator_line[4:]
        first = next((line for line in _text_lines(lines) if isinstance(line, str)), "")
    delimiter = delimiter or max(_DELIMITERS, key=lambda mark: len(_known(first, mark)))
    header_at = lines.number
    try:
        (header,) = csv.reader([first], delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise ConfigurationError(f"line {header_at} {_csv_problem(error)}") from None
    return _read_cells(_columns(header, header_at, defaults), lines, delimiter, defaults)


def _known(header: str, delimiter: str) -> set[str]:
    """Return the names of a plan's columns that a header has if it is split at this delimiter."""
    return {cell.strip().strip('"') for cell in header.split(delimiter)} & {*COLUMNS, ERROR}


def _columns(cells: list[str], line: int, defaults: Defaults) -> list[str]:
    """Return the names of the columns. A column without a name must hold nothing; its name is empty."""
    names = [cell.strip() for cell in cells]
    if not {*names} & {*COLUMNS}:
        raise ConfigurationError(f"line {line} names no column of a plan; it must be such as: {','.join(COLUMNS)}")
    wrong = [_unknown(name) for name in names if name and name not in {*COLUMNS, ERROR}]
    wrong += [f"column {name} is there more than once" for name in COLUMNS if names.count(name) > 1]
    wrong += [f"column {name} is missing" for name in _REQUIRED if name not in names]
    for name, option in _OPTIONS.items():
        if name not in names and getattr(defaults, name) is None:
            wrong.append(f"column {name} is missing (or give {option})")
    if wrong:
        raise ConfigurationError(f"line {line}: {'; '.join(wrong)}")
    return names


def _unknown(name: str, what: str = "column") -> str:
    near = get_close_matches(name[:40].lower().replace(" ", "_"), COLUMNS, 1)
    return f"{what} {name[:40]!r} is unknown" + (f" (did you mean {near[0]}?)" if near else "")


def _read_cells(columns: list[str], lines: _Lines, delimiter: str, defaults: Defaults) -> Iterator[PlanRow | BadLine]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _BadTextError as error:
            yield _bad(line, str(error))
            continue
        except csv.Error as error:
            yield _bad(line, _csv_problem(error), f" (read up to line {lines.number})" * (lines.number > line))
            continue
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        row = _by_column(columns, cells)
        yield _bad(line, row[0], row[1]) if isinstance(row, tuple) else read_row(line, row, defaults)


def _by_column(columns: list[str], cells: list[str]) -> dict[str, str] | tuple[str, str]:
    """Return the cells by column, or what is wrong with them: the kind of problem, and details."""
    if len(cells) < len(columns):
        return "has too few cells: is it cut off?", f" ({len(cells)}, the header has {len(columns)})"
    if any(cells[len(columns) :]):
        return "has more cells than the header", f" ({len(cells)}, the header has {len(columns)})"
    if "" in columns and any(cell for name, cell in zip(columns, cells, strict=False) if not name):
        return "has a value in a column without a name", ""
    row = dict(zip(columns, cells, strict=False))
    run = row["fielding_run_id"]
    if run[:1] == "'" and run[1:2] in FORMULA:
        row["fielding_run_id"] = run[1:]
    return row


def _csv_problem(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "opens a quote that is never closed"
    if "field larger" in text:
        return "has a cell that is far too long: is a quote not closed?"
    if "expected after" in text:
        return "has text right after a closing quote: is a quote too many or too few?"
    return f"is not CSV: {text}"


# -- JSON Lines


def _read_json(first: str, lines: _Lines, defaults: Defaults) -> Iterator[PlanRow | BadLine]:
    line: str | BadLine
    rest = _text_lines(lines)
    yield _read_object(lines.number, first, defaults)
    for line in rest:
        if isinstance(line, BadLine):
            yield line
        elif line.strip():
            yield _read_object(lines.number, line, defaults)


def _read_object(number: int, line: str, defaults: Defaults) -> PlanRow | BadLine:
    repeated: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            repeated.append("")
        return found

    try:
        value: object = json.loads(line, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        return _bad(number, "is not JSON", f": {error.msg}, at character {error.pos + 1}")
    except (ValueError, RecursionError):
        return _bad(number, "is not JSON that can be read")
    if not isinstance(value, dict):
        return _bad(number, "is not a JSON object")
    if repeated:
        return _bad(number, "names a key more than once")
    row = cast("dict[str, Any]", value)
    row.pop(ERROR, None)
    unknown = [name for name in row if name not in COLUMNS]
    if unknown:
        return BadLine(number, tuple(Problem("has an unknown key", _unknown(name, "key")) for name in unknown[:3]))
    trimmed = {name: cell.strip() if isinstance(cell, str) else cell for name, cell in row.items()}
    return read_row(number, trimmed, defaults)

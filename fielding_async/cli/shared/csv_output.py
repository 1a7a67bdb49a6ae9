"""CSV on stdout, of values from outside: no spreadsheet takes a cell of it for a formula."""

import csv
import io
import re
from collections.abc import Iterable

from .output import printable, write_stdout
from .value_texts import json_value

__all__ = ["csv_cell", "csv_line", "formula_safe", "write_csv"]

_LONGEST = 1000  # characters of a cell
_STARTS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_AFTER_A_MARK = re.compile(rf"([,;|\"]\s*)(?=[{_STARTS}])")
_AT_START = re.compile(rf"\s*[{_STARTS}']")


def formula_safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, whatever delimiter it splits the line at."""
    text = _AFTER_A_MARK.sub(r"\1'", printable(text)[:_LONGEST])
    return f"'{text}" if _AT_START.match(text) else text


def csv_cell(value: object) -> str:
    """Return a value of the SDK as a cell: dates in RFC 3339, `true` and `false`, nothing for `None`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return formula_safe(str(json_value(value)))


def csv_line(cells: Iterable[str]) -> str:
    """Return cells as a line of CSV, without its end."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def write_csv(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Write the names of the columns and rows of cells to stdout, each as it comes."""
    write_stdout(csv_line(columns))
    for cells in rows:
        write_stdout(csv_line(cells))

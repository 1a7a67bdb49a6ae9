"""Reads the lines of a plan in JSON Lines. Pure."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, cast

from fielding_async.core.errors import ConfigurationError

from .cells.problems import NOTHING, Problem
from .file_kinds import shown
from .header import KNOWN, column_name, is_guard, unknown_names
from .lines import Lines, bad_line, text_lines
from .row import ERROR, BadLine, Defaults, PlanRow, read_row

__all__ = ["read_json", "read_objects"]

_WHOLE = {
    "runs": "is one object with all runs, as fielding sandbox --json writes it: a plan has one object on each line:"
    """ jq -c '.runs[] | {ref, action: "pause"}' FILE > plan.jsonl""",
    "data": 'is a whole table in one object: in pandas, write to_json(FILE, orient="records", lines=True)',
}


def read_json(first: str, lines: Lines, defaults: Defaults) -> Iterator[PlanRow | BadLine]:
    """Yield, for each line with an object, the row or what is wrong with it. `first`: the line that was read last.

    Raises `ConfigurationError` if the first line holds all rows at once.
    """
    row = _read_object(lines.number, first, defaults, is_first=True)
    return chain((row,), read_objects(lines, defaults))


def read_objects(lines: Lines, defaults: Defaults) -> Iterator[PlanRow | BadLine]:
    """Yield what `read_json` yields, for the lines behind the first."""
    for line in text_lines(lines):
        if isinstance(line, BadLine):
            yield line
        elif line.strip():
            yield _read_object(lines.number, line, defaults)


def _read_object(number: int, line: str, defaults: Defaults, *, is_first: bool = False) -> PlanRow | BadLine:
    repeated: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            repeated.append("")
        return found

    try:
        value: object = json.loads(line, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        return bad_line(number, "is not JSON", f": {error.msg}, at character {error.pos + 1}: {shown(line)}")
    except (ValueError, RecursionError):
        return bad_line(number, "is not JSON that can be read")
    if not isinstance(value, dict):
        return bad_line(number, "is not a JSON object", f": {shown(line)}")
    if repeated:
        return bad_line(number, "names a key more than once", f": {shown(line)}")
    row = cast("dict[str, Any]", value)
    if is_first:
        _check_whole(number, row)
    if not KNOWN.issuperset(row):
        named = {column_name(name.strip()): cell for name, cell in row.items()}
        if len(named) < len(row):
            return bad_line(number, "names a key more than once, in several spellings", f": {shown(line)}")
        # a null ETag, as lists of runs have it, guards nothing
        names = [name for name, cell in named.items() if cell not in NOTHING or not is_guard(name)]
        wrong = unknown_names(names, set(named), defaults, "key")
        if wrong:
            return BadLine(number, tuple(Problem("has unknown keys", text) for text in wrong))
        row = named
    row.pop(ERROR, None)
    return read_row(
        number, {name: cell.strip() if isinstance(cell, str) else cell for name, cell in row.items()}, defaults
    )


def _check_whole(number: int, row: dict[str, Any]) -> None:
    """Raise `ConfigurationError` if an object holds all rows of a plan at once."""
    problem = next((text for key, text in _WHOLE.items() if isinstance(row.get(key), list)), None)
    if isinstance(row.get("action"), dict):
        problem = _WHOLE["data"]
    if problem is not None:
        raise ConfigurationError(f"line {number} {problem}")  # not shown: it may hold a token

"""The rows of a page as JSON: each text once, and a row as a list of numbers. Pure."""

import json
from collections import Counter
from typing import Any

from fielding_async import JournalRow
from fielding_async.cli.shared.output import printable
from fielding_async.cli.shared.row_texts import EFFECTS, change_text, effect_of, error_text

from .values import Report

__all__ = ["Reason", "reasons_of", "rows_json"]

_LONGEST = 500  # characters of an error

Reason = tuple[str, str, str]
"""Why rows are not done: effect, action, error."""


def _error(row: JournalRow, report: Report) -> str:
    return printable(report.redact(error_text(row)))[:_LONGEST] if row.error else ""


def reasons_of(report: Report) -> list[tuple[Reason, int]]:
    """Return why rows are not done, the most frequent reason first, each with the number of rows."""
    counts: Counter[Reason] = Counter(
        (effect_of(row), row.action.name if row.action else "not valid", _error(row, report))
        for row in report.rows
        if row.state != "done"
    )
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def rows_json(report: Report) -> str:
    """Return the rows as a text that is JSON and holds no character that HTML gives a meaning to."""
    number = ("No.", "Place in the plan, from 0") if report.line_of is None else ("Line", "Line of the plan")
    strings: dict[str, int] = {}

    def text(value: str) -> int:
        return strings.setdefault(printable(value), len(strings))

    rows: list[list[int | None]] = []
    for row in report.rows:
        ref = row.ref
        run = "" if row.before is None else row.before.id
        rows.append(
            [
                row.number if report.line_of is None else report.line_of(row.number),
                None if row.time is None else round(row.time.timestamp() * 1000),
                text("" if ref is None else ref.target_group_id),
                text(run if ref is None else ref.fielding_run_id),
                text(row.action.name if row.action else "not valid"),
                text(change_text(row).replace(" -> ", " \N{RIGHTWARDS ARROW} ")),
                text(effect_of(row)),
                row.conflicts,
                text(row.trace_id or ""),
                text(_error(row, report)),
            ]
        )
    columns = [
        {"name": number[0], "title": number[1], "kind": "number"},
        {"name": "Time (UTC)", "title": "When the end was recorded", "kind": "time"},
        {"name": "Target group", "title": "Target group id", "kind": "id"},
        {"name": "Run", "title": "Fielding run id", "kind": "id"},
        {"name": "Action", "title": "What the row asks for", "kind": "word"},
        {"name": "From what to what", "title": "What the write changed", "kind": "change"},
        {"name": "Effect", "title": "What became of the row", "kind": "effect"},
        {"name": "Conflicts", "title": "Replies 412: somebody else had changed the run", "kind": "number"},
        {"name": "Trace id", "title": "The trace id of the row's requests", "kind": "trace"},
        {"name": "Error", "title": "Why the row is not done", "kind": "text"},
    ]
    found: dict[str, Any] = {"columns": columns, "effects": EFFECTS, "strings": list(strings), "rows": rows}
    encoded = json.dumps(found, separators=(",", ":"))
    return encoded.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

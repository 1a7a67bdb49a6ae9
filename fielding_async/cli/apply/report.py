"""The report at the end of `fielding apply`: a table and lines, or JSON objects, from what the journal holds."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from fielding_async import JournalCounts, JournalRow, JournalSummary, journal_rows
from fielding_async.cli.shared.exit_status import Exit
from fielding_async.cli.shared.output import duration, printable, stdout_console, write_json, write_stderr, write_stdout
from fielding_async.cli.shared.plan.cells.actions import ACTIONS
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan, ProblemKind
from fielding_async.cli.shared.row_texts import error_text
from fielding_async.cli.shared.value_texts import error_object, json_value
from fielding_async.core.errors import ConfigurationError

from .execution import Execution
from .failed_rows import FailedRows
from .page import write_order_page
from .preview import finished_at, finished_line
from .tally import unsent_rows

__all__ = ["report"]

_SHOWN = 10  # rows that did not end well and are shown one by one
_SORTED = 20_000  # rows that are sorted into the plan's order; further ones stay in the order in which they ended
_COLUMNS = ("accepted", "already", "unconfirmed", "failed", "unknown", "skipped")
_KINDS = 1000  # different errors that are counted separately
_LONGEST = 300  # characters of an error


def report(execution: Execution) -> int:
    """Report how the rows ended, and write the files of those that did not end well. Returns the exit status."""
    order, checked = execution.order, execution.checked
    files = FailedRows(order, guarded=checked.guarded > 0)
    try:
        summary = execution.summary()
        counts = summary.counts
        first, kinds = _collect_bad_rows(
            execution, files, has_any=counts.done < counts.ended + counts.in_flight + counts.stuck
        )
    except (ConfigurationError, OSError) as error:
        files.discard()
        return _report_without_journal(execution, error)
    written = files.finish()
    page = write_order_page(order, checked)
    status = _status(execution, counts, unsent_rows(checked, counts))
    _report_early_end(execution, counts)
    if order.as_json:
        if execution.error is not None:
            write_json(error_object(execution.error))
        write_json({**_object(execution, summary, written, status), "report": None if page is None else str(page)})
    else:
        lines = _bad_lines(first, kinds, checked)
        if lines:
            write_stderr("\n".join(lines))
        stdout_console().print(_table(checked, summary.outcomes))
        write_stdout("\n".join(_lines(execution, summary, written)))
        if page is not None:
            write_stdout(printable(f"report: {page}"))
    files.report_files()
    return status


def _report_without_journal(execution: Execution, error: ConfigurationError | OSError) -> int:
    """Report the counts of this process where the journal cannot be read, and warn against sending the rows again."""
    order, tally = execution.order, execution.tally
    named = {name: getattr(tally, name) for name in ("done", "failed", "unknown", "skipped")}
    status = 128 + execution.signals[0] if execution.signals else Exit.UNKNOWN
    more = "; more may have been sent" if tally.ended < execution.checked.rows else ""
    reason = error.message if isinstance(error, ConfigurationError) else f"{order.journal}: {error.strerror or error}"
    write_stderr(
        f"fielding: apply: how each row ended is no longer known: {printable(reason)}\n"
        f"  this time: {tally.ended:,} of {execution.checked.rows:,} rows ended"
        f" ({', '.join(f'{count:,} {name}' for name, count in named.items())}){more}\n"
        "  restore the journal before anything is sent again: without it the plan would start again,"
        " and what was sent would be sent twice"
    )
    if order.as_json:
        write_json({"kind": "error", "error": "JournalError", "message": reason, **named, "exit_status": int(status)})
    return status


def _status(execution: Execution, counts: JournalCounts, unsent: int) -> int:
    if execution.signals:
        return 128 + execution.signals[0]
    if counts.unknown or counts.in_flight or execution.is_given_up:
        return Exit.UNKNOWN
    unsent += counts.stuck
    return Exit.FAILED if counts.failed or counts.skipped or unsent or execution.error is not None else Exit.DONE


def _collect_bad_rows(
    execution: Execution, files: FailedRows, *, has_any: bool
) -> tuple[list[JournalRow], dict[str, ProblemKind]]:
    """Write the rows that did not end well to their files; return the first of them, and all errors by kind."""
    first: list[JournalRow] = []
    kinds: dict[str, ProblemKind] = {}
    if not has_any:
        return first, kinds  # saves reading the journal again
    for row in _in_order(journal_rows(execution.order.journal)):
        if execution.order.as_json:
            write_json(_row_object(row, execution.checked))
        if row.state == "in flight":
            continue
        if len(first) < _SHOWN:
            first.append(row)
        text = _kind_text(row)
        kind = kinds.get(text) or kinds.setdefault(text if len(kinds) < _KINDS else "others", ProblemKind(text))
        kind.add(execution.checked.line(row.number))
        if row.state != "stuck":  # the same command tries it again: another plan with it would send it twice
            files.add(row)
    return first, kinds


def _in_order(rows: Iterable[JournalRow]) -> Iterable[JournalRow]:
    """Yield rows in the order of the plan: only the first ones if there are very many."""
    found = iter(rows)
    first = [row for row, _ in zip(found, range(_SORTED), strict=False)]
    yield from sorted(first, key=lambda row: row.number)
    yield from found


def _kind_text(row: JournalRow) -> str:
    return printable(f"{row.action.name if row.action else '?'}: {row.state}: {error_text(row)}")[:_LONGEST]


def _report_early_end(execution: Execution, counts: JournalCounts) -> None:
    """Write to stderr why the plan ended before all rows were sent, if it did."""
    ended = execution.tally.ended
    if execution.error is not None:
        write_stderr(f"fielding: apply: stopped: {printable(execution.error.message)}")
    elif execution.stopped is not None:
        write_stderr(f"fielding: apply: stopped: {execution.stopped}")
    elif execution.signals:
        write_stderr(f"fielding: apply: stopped by {execution.signals[0].name} after {ended:,} rows")
    elif execution.order.fail_fast and (counts.failed or counts.unknown) and counts.ended < execution.checked.rows:
        write_stderr("fielding: apply: stopped at the first row that did not end well (--fail-fast)")


def _table(checked: CheckedPlan, outcomes: Mapping[tuple[str, str], int]) -> Table:
    total: Counter[str] = Counter()
    for (_, outcome), count in outcomes.items():
        total[outcome] += count
    left = checked.rows - sum(total.values())
    shown = [name for name in _COLUMNS if total[name] or name == "accepted"]
    several = len(checked.actions) > 1
    table = Table(show_footer=several)
    table.add_column("Action", "total", no_wrap=True)
    table.add_column("Rows", f"{checked.rows:,}", justify="right")
    for name in shown:
        style = "red" if name in {"failed", "unknown"} else ""
        table.add_column(name, f"{total[name]:,}", justify="right", style=style)
    if left:
        table.add_column("not ended", f"{left:,}", justify="right")
    for name in (name for name in ACTIONS if name in checked.actions):
        rows = checked.actions[name]
        figures = [outcomes.get((name, outcome), 0) for outcome in _COLUMNS]
        cells = [f"{outcomes.get((name, outcome), 0):,}" for outcome in shown]
        table.add_row(name, f"{rows:,}", *cells, *([f"{rows - sum(figures):,}"] if left else []))
    return table


def _ended_before(execution: Execution) -> int:
    return execution.earlier.ended if execution.earlier else 0


def _lines(execution: Execution, summary: JournalSummary, written: dict[str, Path | None]) -> list[str]:
    order, checked, counts = execution.order, execution.checked, summary.counts
    earlier = _ended_before(execution)
    before = f", {earlier:,} of them before" if earlier else ""
    took = duration(time.monotonic() - execution.tally.began)
    lines = [f"{counts.ended:,} of {checked.rows:,} rows have ended{before}; this took {took}", f"on {order.place}"]
    if earlier == checked.rows:
        lines = [finished_line(order, checked, summary, tense="was sent")]
    unsent = unsent_rows(checked, counts)
    if counts.in_flight:
        lines.append(f"{counts.in_flight:,} were in progress and may have been applied: the same command finds out")
    if unsent:
        lines.append(f"{unsent:,} were never sent")
    if counts.stuck:
        lines.append(
            f"{counts.stuck:,} are stuck: each failed three times while others did not; the same command tries again"
        )
    if counts.stuck or execution.is_given_up:
        left, failed = counts.in_flight + unsent, counts.failed + counts.skipped
        lines.append(f"in all {left:,} open, {counts.stuck:,} stuck, {failed:,} failed or skipped")
    if written.get("failed"):
        lines.append(f"failed and skipped rows, as a plan: {written['failed']}")
    if written.get("unknown"):
        lines.append(f"rows that may or may not have been applied, to be checked: {written['unknown']}")
    if counts.in_flight or unsent or counts.stuck:
        lines += ["to continue:", f"  {order.again}"]
        if not order.is_lasting:
            lines.append(f"  (with the same rows on {order.plan})")
    return [printable(line) for line in lines]


def _bad_lines(first: list[JournalRow], kinds: dict[str, ProblemKind], checked: CheckedPlan) -> list[str]:
    """Return the rows that did not end well as lines: one for each if they are few, else one for each kind of error."""
    if sum(kind.count for kind in kinds.values()) <= _SHOWN:
        return [f"line {checked.line(row.number)}: {_kind_text(row)}" for row in first]
    often = sorted(kinds.items(), key=lambda pair: -pair[1].count)
    lines = [f"{kind.count:7,} x {text} ({kind.where})" for text, kind in often[:_SHOWN]]
    return [*lines, *([f"and {len(often) - _SHOWN} more kinds of errors"] if len(often) > _SHOWN else [])]


def _row_object(row: JournalRow, checked: CheckedPlan) -> dict[str, Any]:
    return {
        "kind": "row",
        "line": checked.line(row.number),
        "state": row.state,
        "ref": json_value(row.ref),
        "action": json_value(row.action),
        "error": row.error or None,
        "message": row.message or None,
        "trace_id": row.trace_id,
    }


def _object(
    execution: Execution, summary: JournalSummary, written: dict[str, Path | None], status: int
) -> dict[str, Any]:
    order, counts = execution.order, summary.counts
    unsent = unsent_rows(execution.checked, counts)
    named = {name: getattr(counts, name) for name in ("done", "failed", "unknown", "skipped", "in_flight")}
    paths = {f"{kind}_plan": None if path is None else str(path) for kind, path in written.items()}
    return {
        "kind": "apply",
        "plan": order.plan,
        "base_url": order.base_url,
        "sandbox": order.sandbox,
        "rows": execution.checked.rows,
        "resolved_runs": 0 if execution.runs is None else execution.runs.target_groups,
        **named,
        "stuck": counts.stuck,
        "open": unsent + counts.in_flight,
        "never_sent": unsent,
        "outcomes": [
            {"action": action, "outcome": outcome, "rows": rows}
            for (action, outcome), rows in sorted(summary.outcomes.items())
        ],
        "sent_now": execution.sent_now,
        "ended_before": _ended_before(execution),
        "finished_at": finished_at(execution.checked, summary),
        "stopped": execution.stopped,
        "seconds": round(time.monotonic() - execution.tally.began, 2),
        "signal": execution.signals[0].name if execution.signals else None,
        "journal": str(order.journal),
        **paths,
        "go_on": order.again if unsent or counts.in_flight or counts.stuck else None,
        "exit_status": int(status),
    }

"""What `fielding apply` says when it has ended, and what it writes down for those who go on from there."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from fielding_async import JournalCounts, JournalRow, JournalSummary, journal_rows, read_journal
from fielding_async.cli.shared.exit_status import Exit
from fielding_async.cli.shared.output import clean, complain, out, put_json, say
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan, Kind
from fielding_async.cli.shared.plan.row import ACTIONS
from fielding_async.cli.shared.plan.writer import PlanWriter
from fielding_async.cli.shared.render import error_object, plain
from fielding_async.core.errors import ConfigurationError

from .preview import place, unsent_rows
from .progress import duration

if TYPE_CHECKING:
    from .command import Order
    from .execution import Run

__all__ = ["report"]

_SHOWN = 10  # rows that did not end well and are shown one by one
_SORTED = 20_000  # rows that are brought into the plan's order; more are left in that of their ends
_COLUMNS = ("accepted", "already", "unconfirmed", "failed", "unknown", "skipped")
_KINDS = 1000  # different errors that are told apart
_LONGEST = 300  # characters of an error
_REQUEST = re.compile(r"(?:^|(?<=: ))[A-Z]+ /\S*: ")
_TRACE = re.compile(r" \[trace_id=[^\]]*\]$")
_EARLIER = re.compile(r": row \d+ of the journal: [a-z]+$")  # counted from 0, and not to be found in the plan


def report(run: "Run") -> int:
    """Say what has become of the plan, and write the rows that did not end well. Returns the exit status."""
    order, checked = run.order, run.checked
    files = _Files(order)
    try:
        summary = read_journal(order.journal)
        counts = summary.counts
        first, kinds = _go_through(run, files, any_bad=counts.done < counts.ended + counts.in_flight)
    except (ConfigurationError, OSError) as error:
        files.discard()
        return _report_without_journal(run, error)
    written = files.finish()
    status = _status(run, counts, unsent_rows(checked, counts))
    _tell_end(run, counts)
    if order.as_json:
        if run.error is not None:
            put_json(error_object(run.error))
        put_json(_object(run, summary, written, status))
    else:
        told = _bad_lines(first, kinds, checked)
        if told:
            complain("\n".join(told))
        out().print(_table(checked, summary.outcomes))
        say("\n".join(_lines(run, counts, written)))
    files.tell()
    return status


def _report_without_journal(run: "Run", error: ConfigurationError | OSError) -> int:
    """Say what is known where the journal cannot be read any more, so that nobody sends the rows again unawares."""
    order, tally = run.order, run.tally
    named = {name: getattr(tally, name) for name in ("done", "failed", "unknown", "skipped")}
    status = 128 + run.signals[0] if run.signals else Exit.UNKNOWN
    more = "; more may have been sent" if tally.ended < run.checked.rows else ""
    reason = error.message if isinstance(error, ConfigurationError) else f"{order.journal}: {error.strerror or error}"
    complain(
        f"fielding: apply: what has become of the rows cannot be told one by one any more: {clean(reason)}\n"
        f"  this go: {tally.ended:,} of {run.checked.rows:,} rows ended"
        f" ({', '.join(f'{count:,} {name}' for name, count in named.items())}){more}\n"
        "  restore the journal before anything is sent again: without it the plan would begin anew,"
        " and what was sent be sent twice"
    )
    if order.as_json:
        put_json({"kind": "error", "error": "JournalError", "message": reason, **named, "exit_status": int(status)})
    return status


def _status(run: "Run", counts: JournalCounts, unsent: int) -> int:
    if run.signals:
        return 128 + run.signals[0]
    if counts.unknown or counts.in_flight:
        return Exit.UNKNOWN
    return Exit.FAILED if counts.failed or counts.skipped or unsent or run.error is not None else Exit.DONE


class _Files:
    """The files of rows that failed, and of those that are unknown."""

    def __init__(self, order: "Order") -> None:
        self._writers = {kind: PlanWriter(order.beside(kind)) for kind in ("failed", "unknown")}
        self._errors: dict[str, OSError] = {}

    def add(self, row: JournalRow) -> None:
        """Write a row."""
        to = "unknown" if row.state == "unknown" else "failed"
        if row.ref is None or row.action is None or to in self._errors:
            return
        try:
            self._writers[to].add(row.ref, row.action, _error_text(row, trace=True))
        except OSError as error:
            self._errors[to] = error

    def finish(self) -> dict[str, Path | None]:
        """Put the files in their places, and return where they are."""
        written: dict[str, Path | None] = dict.fromkeys(self._writers)
        try:
            for kind, writer in self._writers.items():
                if kind not in self._errors:
                    try:
                        written[kind] = writer.finish()
                    except OSError as error:
                        self._errors[kind] = error
        finally:
            self.discard()
        return written

    def discard(self) -> None:
        """Leave nothing behind that is not finished."""
        for writer in self._writers.values():
            writer.discard()

    def tell(self) -> None:
        """Say which older files were kept, and what kept which from being written."""
        for kind, writer in self._writers.items():
            path = clean(str(writer.path))
            if writer.kept is not None:
                complain(f"fielding: apply: an older {path} held other lines: it is now {clean(str(writer.kept))}")
            if kind in self._errors:
                error = self._errors[kind]
                complain(
                    f"fielding: apply: the rows that did not end well could not be written to {path}"
                    f" ({error.strerror or error}); they are in the journal: mend that, and give the command again"
                )


def _go_through(run: "Run", files: _Files, *, any_bad: bool) -> tuple[list[JournalRow], dict[str, Kind]]:
    """Write down the rows that did not end well; return the first of them, and what is wrong with all, by kind."""
    first: list[JournalRow] = []
    kinds: dict[str, Kind] = {}
    if not any_bad:
        return first, kinds  # reading a long journal takes a while
    for row in _in_order(journal_rows(run.order.journal)):
        if run.order.as_json:
            put_json(_row_object(row, run.checked))
        if row.state == "in flight":
            continue
        if len(first) < _SHOWN:
            first.append(row)
        text = _kind_text(row)
        kind = kinds.get(text) or kinds.setdefault(text if len(kinds) < _KINDS else "others", Kind(text))
        kind.add(run.checked.line(row.number))
        files.add(row)
    return first, kinds


def _in_order(rows: Iterable[JournalRow]) -> Iterable[JournalRow]:
    """Bring rows into the order of the plan; where they are very many, only the first of them."""
    found = iter(rows)
    first = [row for row, _ in zip(found, range(_SORTED), strict=False)]
    yield from sorted(first, key=lambda row: row.number)
    yield from found


def _error_text(row: JournalRow, *, trace: bool = False) -> str:
    """Return an error without what the row says already, or is of no use to people."""
    message = _EARLIER.sub("", _TRACE.sub("", _REQUEST.sub("", row.message)))
    return f"{row.error}: {message}" + (f" [trace_id={row.trace_id}]" if trace and row.trace_id else "")


def _kind_text(row: JournalRow) -> str:
    return clean(f"{row.action.name if row.action else '?'}: {row.state}: {_error_text(row)}")[:_LONGEST]


def _tell_end(run: "Run", counts: JournalCounts) -> None:
    """Say, on stderr, why it ended before its time."""
    ended = run.tally.ended
    if run.error is not None:
        complain(f"fielding: apply: stopped: {clean(run.error.message)}")
    elif run.trouble.why is not None:
        complain(f"fielding: apply: stopped: {run.trouble.why}\n  to find out more: fielding doctor")
    elif run.signals:
        complain(f"fielding: apply: stopped by {run.signals[0].name} after {ended:,} rows")
    elif run.order.fail_fast and (counts.failed or counts.unknown) and counts.ended < run.checked.rows:
        complain("fielding: apply: stopped at the first row that did not end well (--fail-fast)")


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


def _lines(run: "Run", counts: JournalCounts, written: dict[str, Path | None]) -> list[str]:
    order, checked = run.order, run.checked
    earlier = counts.ended - run.tally.ended
    before = f", {earlier:,} of them before" if earlier > 0 else ""
    took = duration(time.monotonic() - run.tally.began)
    lines = [f"{counts.ended:,} of {checked.rows:,} rows have ended{before}; this took {took}", f"on {place(order)}"]
    if earlier == checked.rows:
        lines = [f"nothing was left to do: all {checked.rows:,} rows had ended before; the journal is {order.journal}"]
    unsent = unsent_rows(checked, counts)
    if counts.in_flight:
        lines.append(f"{counts.in_flight:,} were under way and may have been applied: going on finds out")
    if unsent:
        lines.append(f"{unsent:,} were never sent")
    if written.get("failed"):
        lines.append(f"failed and skipped rows, as a plan: {written['failed']}")
    if written.get("unknown"):
        lines.append(f"rows that may or may not have been applied, to be looked at: {written['unknown']}")
    if counts.in_flight or unsent:
        lines += ["to go on:", f"  {order.again}"]
        if not order.is_lasting:
            lines.append(f"  (with the same rows on {order.plan})")
    return [clean(line) for line in lines]


def _bad_lines(first: list[JournalRow], kinds: dict[str, Kind], checked: CheckedPlan) -> list[str]:
    """Return the rows that did not end well, one by one if they are few, else by what is wrong with them."""
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
        "ref": plain(row.ref),
        "action": plain(row.action),
        "error": row.error or None,
        "message": row.message or None,
        "trace_id": row.trace_id,
    }


def _object(run: "Run", summary: JournalSummary, written: dict[str, Path | None], status: int) -> dict[str, Any]:
    order, counts = run.order, summary.counts
    unsent = unsent_rows(run.checked, counts)
    named = {name: getattr(counts, name) for name in ("done", "failed", "unknown", "skipped", "in_flight")}
    paths = {f"{kind}_plan": None if path is None else str(path) for kind, path in written.items()}
    return {
        "kind": "apply",
        "plan": order.plan,
        "base_url": order.base_url,
        "sandbox": order.sandbox,
        "rows": run.checked.rows,
        **named,
        "never_sent": unsent,
        "outcomes": [
            {"action": action, "outcome": outcome, "rows": rows}
            for (action, outcome), rows in sorted(summary.outcomes.items())
        ],
        "seconds": round(time.monotonic() - run.tally.began, 2),
        "signal": run.signals[0].name if run.signals else None,
        "journal": str(order.journal),
        **paths,
        "go_on": order.again if unsent or counts.in_flight else None,
        "exit_status": int(status),
    }

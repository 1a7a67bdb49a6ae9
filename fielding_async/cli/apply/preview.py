"""What `fielding apply` says before it sends anything: the rows of the plan, and the state of its journal."""

import re
import warnings
from array import array
from collections.abc import Callable, Iterable
from typing import Any, Literal

from fielding_async import JournalSummary
from fielding_async.cli.shared.output import counted, duration, printable, write_stderr
from fielding_async.cli.shared.plan.cells.actions import ACTIONS
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan, verified_rows
from fielding_async.cli.shared.plan.row import BadLine, PlanRow
from fielding_async.core.dates import to_text
from fielding_async.core.errors import ConfigurationError
from fielding_async.journal.head_file import HeadFile
from fielding_async.journal.lines import row_digest
from fielding_async.journal.reader import ReadJournal
from fielding_async.journal.values import is_same_exchange

from .journal_files import is_unbegun, read_replay
from .order import Order
from .rows.plan_changes import changes_text
from .rows.recorded_runs import RecordedRuns, known_run
from .tally import unsent_rows

__all__ = [
    "check_line",
    "dry_run_lines",
    "dry_run_object",
    "earlier_summary",
    "finished_at",
    "finished_line",
    "prompt_lines",
    "warn_of_missing_head",
]

_RATES = (5.0, 20.0)  # requests a second for which the time is estimated when no rate is given


def earlier_summary(
    order: Order,
    checked: CheckedPlan,
    rows: Callable[[], Iterable[PlanRow | BadLine]],
    journal: ReadJournal | None = None,
) -> JournalSummary | None:
    """Return what an existing journal holds, `None` if there is none yet.

    `journal`: what the journal is read into, where more than the summary is wanted. `rows` reads the plan again, to
    say what was changed in it. Raises `ConfigurationError` if the journal is unreadable, or is of another plan or
    another server.
    """
    try:
        if is_unbegun(order.journal):
            return None
        summary = (journal or ReadJournal(order.journal)).read()
        other = "is of another plan, or this one has been changed since"
        if not is_same_exchange(summary.base_url, order.base_url):
            other = f"is of another exchange ({printable(summary.base_url)}, not {order.base_url})"
        elif summary.plan == checked.digest:
            return summary
        else:
            other += f" ({_changes(order, checked, rows())})"
    except OSError as error:
        raise ConfigurationError(
            f"the journal {order.journal}: {error.strerror or error}; nothing was sent. Make it readable"
        ) from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{error.message}; nothing was sent") from None
    raise ConfigurationError(
        f"the journal {order.journal} {other}; nothing was sent. To continue, restore what it is of; to apply this plan"
        " from its start, move the journal away,"
        f" with {order.journal.name}.head, or name another one with --journal"
    )


def _changes(order: Order, checked: CheckedPlan, rows: Iterable[PlanRow | BadLine]) -> str:
    """Return how a plan differs from that of the journal."""
    replay = read_replay(order.journal)
    record = array("I", (replay.row_digest(number) for number in range(len(replay))))
    if len(replay) and bool(replay.resolved) != checked.names_no_runs:
        names, not_so = ("no runs", "names them") if replay.resolved else ("the runs", "names none")
        return f"its plan names {names}, and this one {not_so}: add or remove the column fielding_run_id"
    known = ((known_run(row.ref, replay.resolved), row) for row in verified_rows(rows, checked))
    plan = array("I", (row_digest(ref, row.action, row.if_match) for ref, row in known))
    have_ended = replay.counts().ended == len(replay)
    return changes_text(record, plan, checked.line, have_ended=have_ended)


def finished_line(
    order: Order, checked: CheckedPlan, summary: JournalSummary, *, tense: Literal["is sent", "was sent"]
) -> str:
    """Return what to say of a plan that is applied again although all its rows have ended."""
    rows = f"all {checked.rows:,} rows" if checked.rows > 1 else "its only row"
    finished = finished_at(checked, summary)
    when = "before" if finished is None else f"before, the last at {finished}"
    return printable(f"nothing {tense}: {rows} had ended {when}; the journal is {order.journal}")


def finished_at(checked: CheckedPlan, summary: JournalSummary) -> str | None:
    """Return when the last row of a plan ended (RFC 3339, UTC); `None` if rows are left, or if it is not on record."""
    if summary.counts.ended < checked.rows or summary.last_written_at is None:
        return None
    return to_text(summary.last_written_at)


def prompt_lines(
    order: Order, checked: CheckedPlan, earlier: JournalSummary | None, runs: RecordedRuns | None = None
) -> list[str]:
    """Return what will be done, as lines for the question whether to do it. `runs`: of a plan that names none."""
    rows = f"{printable(order.plan)}: {_rows_text(checked)}, on {order.place}"
    twice = [checked.duplicates_text] if checked.duplicates else []
    found = [] if runs is None else [f"runs: {runs.target_groups:,}, {runs.text}"]
    return [rows, *found, *twice, *_earlier_lines(order, checked, earlier)]


def _rows_text(checked: CheckedPlan) -> str:
    each = ", ".join(f"{checked.actions[name]:,} {name}" for name in ACTIONS if name in checked.actions)
    return f"{counted(checked.rows, 'row')} ({each})"


def _earlier_lines(order: Order, checked: CheckedPlan, earlier: JournalSummary | None) -> list[str]:
    if earlier is None:
        if not order.journal.exists():
            return []
        return [f"the journal {printable(str(order.journal))} is there, but holds nothing: the plan starts again"]
    counts = earlier.counts
    if counts.ended == checked.rows:
        return [finished_line(order, checked, earlier, tense="is sent"), *_remedy_lines(order)]
    ended = f"{counts.ended:,} rows have ended, {counts.in_flight:,} were in progress"
    ended += f", {counts.stuck:,} are stuck" if counts.stuck else ""
    journal, unsent = printable(str(order.journal)), unsent_rows(checked, counts)
    return [f"continuing with the journal {journal}: {ended}, {unsent:,} were never sent"]


def _remedy_lines(order: Order) -> list[str]:
    if order.is_dated:
        return []
    dated = order.journal.with_name(f"{order.journal.stem.replace('%', '%%')}-%Y-%m-%d.journal")
    return [printable(f"to apply it again every day, give it a journal for each day, such as --journal {dated}")]


def warn_of_missing_head(order: Order, checked: CheckedPlan, earlier: JournalSummary | None) -> None:
    """Warn, before anything is asked, of a journal that is gone on with and whose head is missing.

    The batch warns of the same, once it has started: that is left out then.
    """
    if earlier is None or earlier.began_at is None or earlier.counts.ended == checked.rows:
        return
    head = HeadFile(str(order.journal), f"journal={str(order.journal)!r}")
    if head.read() is None:
        what = "is missing: it is not known whether the end of the journal was cut off"
        write_stderr(printable(f"fielding: warning: {head.name} {what}"))
        warnings.filterwarnings("ignore", f"{re.escape(head.name)} is missing: ", UserWarning)


def _requests_left(checked: CheckedPlan, earlier: JournalSummary | None, runs: RecordedRuns | None) -> int:
    left = checked.rows if earlier is None else checked.rows - earlier.counts.ended
    lists = 0 if runs is None or runs.found is None else runs.target_groups
    return lists + round(checked.requests * left / checked.rows)


def check_line(runs: int) -> str:
    """Return what `--check-runs` found where no run is missing."""
    return f"runs: {runs:,} checked, {'it exists' if runs == 1 else 'all exist'}"


def dry_run_lines(
    order: Order,
    checked: CheckedPlan,
    earlier: JournalSummary | None,
    *,
    runs: RecordedRuns | None,
    runs_checked: int | None,
) -> list[str]:
    """Return what would be sent, as lines.

    `runs`: of a plan that names none. `runs_checked`: how many runs were fetched, `None` if none had to be.
    """
    requests = _requests_left(checked, earlier, runs)
    more = "" if runs is None else f", {runs.text}"
    each = "a GET of each run" if runs is None or runs.found is None else "two GETs for each run"
    if order.rate is not None:
        time_needed = f"about {duration(requests / order.rate)} at {order.rate:g} requests a second"
    else:
        times = " and ".join(f"{duration(requests / rate)} at {rate:g}" for rate in _RATES)
        time_needed = f"not known without --rate; it would be {times} requests a second"
    return [
        f"{printable(order.plan)}: {_rows_text(checked)}, on {order.base_url}",
        f"runs: {checked.distinct_runs:,}{more}{checked.duplicates_text and f'; {checked.duplicates_text}'}",
        *_earlier_lines(order, checked, earlier),
        *([] if runs_checked is None else [check_line(runs_checked)]),
        f"requests: about {requests:,} ({each}, a write for each row; conflicts and retries add more)",
        f"time: {time_needed}",
        "dry run: nothing was sent",
    ]


def dry_run_object(
    order: Order,
    checked: CheckedPlan,
    earlier: JournalSummary | None,
    *,
    runs: RecordedRuns | None,
    runs_checked: int | None,
) -> dict[str, Any]:
    """Return what would be sent, as a JSON object. `runs`, `runs_checked`: as in `dry_run_lines`."""
    requests = _requests_left(checked, earlier, runs)
    return {
        "kind": "dry-run",
        "plan": order.plan,
        "base_url": order.base_url,
        "rows": checked.rows,
        "actions": checked.actions,
        "distinct_runs": checked.distinct_runs,
        "resolved_runs": 0 if runs is None else runs.target_groups,
        "duplicates": checked.duplicates,
        "digest": checked.digest,
        "ended_before": earlier.counts.ended if earlier else 0,
        "finished_at": finished_at(checked, earlier) if earlier else None,
        "runs_checked": runs_checked,
        "requests": requests,
        "seconds": None if order.rate is None else round(requests / order.rate, 1),
    }

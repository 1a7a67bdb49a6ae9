"""What `fielding apply` says before it sends anything: the rows of the plan, and the state of its journal."""

import os
from pathlib import Path
from typing import Any

from fielding_async import JournalCounts, read_journal
from fielding_async.cli.shared.output import duration, printable
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
from fielding_async.cli.shared.plan.row import ACTIONS
from fielding_async.core.errors import ConfigurationError
from fielding_async.journal.regular_file import open_regular
from fielding_async.journal.replay import begins_a_journal
from fielding_async.journal.values import is_same_exchange

from .order import Order
from .tally import unsent_rows

__all__ = ["dry_run_lines", "dry_run_object", "earlier_counts", "prompt_lines"]

_RATES = (5.0, 20.0)  # requests a second for which the time is estimated when no rate is given
_LONGEST = 1 << 20  # bytes of a first line


def earlier_counts(order: Order, checked: CheckedPlan) -> JournalCounts | None:
    """Return what an existing journal holds, `None` if there is none yet.

    Raises `ConfigurationError` if the journal is unreadable, or is of another plan or another server.
    """
    try:
        if _is_unbegun(order.journal):
            return None
        summary = read_journal(order.journal)
    except OSError as error:
        raise ConfigurationError(f"the journal {order.journal}: {error.strerror or error}; nothing was sent") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{error.message}; nothing was sent") from None
    other = "is of another plan, or this one has been changed since"
    if not is_same_exchange(summary.base_url, order.base_url):
        other = f"is of another exchange ({printable(summary.base_url)}, not {order.base_url})"
    elif summary.plan == checked.digest:
        return summary.counts
    raise ConfigurationError(
        f"the journal {order.journal} {other}; nothing was sent. To go on, restore what it is of; to apply this plan"
        " from its beginning, move the journal away or name another one with --journal"
    )


def _is_unbegun(journal: Path) -> bool:
    """Whether the journal does not exist, or a crash tore its first line: nothing is sent before that line is whole."""
    name = str(journal)
    try:
        with os.fdopen(open_regular(name, os.O_RDONLY, f"journal={name!r}"), "rb") as file:
            first = file.readline(_LONGEST)
    except FileNotFoundError:
        return True
    return not first.endswith(b"\n") and begins_a_journal(first)


def prompt_lines(order: Order, checked: CheckedPlan, earlier: JournalCounts | None) -> list[str]:
    """Return what will be done, as lines for the question whether to do it."""
    rows = f"{printable(order.plan)}: {_rows_text(checked)}, on {order.place}"
    twice = [checked.duplicates_text] if checked.duplicates else []
    return [rows, *twice, *_earlier_lines(order, checked, earlier)]


def _rows_text(checked: CheckedPlan) -> str:
    each = ", ".join(f"{checked.actions[name]:,} {name}" for name in ACTIONS if name in checked.actions)
    return f"{checked.rows:,} row{'' if checked.rows == 1 else 's'} ({each})"


def _earlier_lines(order: Order, checked: CheckedPlan, earlier: JournalCounts | None) -> list[str]:
    if earlier is None:
        if not order.journal.exists():
            return []
        return [f"the journal {printable(str(order.journal))} is there, but holds nothing: the plan begins anew"]
    ended = f"{earlier.ended:,} rows have ended, {earlier.in_flight:,} were under way"
    journal, unsent = printable(str(order.journal)), unsent_rows(checked, earlier)
    return [f"going on with the journal {journal}: {ended}, {unsent:,} were never sent"]


def _requests_left(checked: CheckedPlan, earlier: JournalCounts | None) -> int:
    left = checked.rows if earlier is None else checked.rows - earlier.ended
    return round(checked.requests * left / checked.rows)


def dry_run_lines(order: Order, checked: CheckedPlan, earlier: JournalCounts | None) -> list[str]:
    """Return what would be sent, as lines."""
    requests = _requests_left(checked, earlier)
    if order.rate is not None:
        time_needed = f"about {duration(requests / order.rate)} at {order.rate:g} requests a second"
    else:
        times = " and ".join(f"{duration(requests / rate)} at {rate:g}" for rate in _RATES)
        time_needed = f"not known without --rate; it would be {times} requests a second"
    return [
        f"{printable(order.plan)}: {_rows_text(checked)}, on {order.base_url}",
        f"runs: {checked.distinct_runs:,}{checked.duplicates_text and f'; {checked.duplicates_text}'}",
        *_earlier_lines(order, checked, earlier),
        f"requests: about {requests:,} (a look at each run, a write for each row; conflicts and retries come on top)",
        f"time: {time_needed}",
        "dry run: nothing was sent",
    ]


def dry_run_object(order: Order, checked: CheckedPlan, earlier: JournalCounts | None) -> dict[str, Any]:
    """Return what would be sent, as a JSON object."""
    requests = _requests_left(checked, earlier)
    return {
        "kind": "dry-run",
        "plan": order.plan,
        "base_url": order.base_url,
        "rows": checked.rows,
        "actions": checked.actions,
        "distinct_runs": checked.distinct_runs,
        "duplicates": checked.duplicates,
        "digest": checked.digest,
        "ended_before": earlier.ended if earlier else 0,
        "requests": requests,
        "seconds": None if order.rate is None else round(requests / order.rate, 1),
    }

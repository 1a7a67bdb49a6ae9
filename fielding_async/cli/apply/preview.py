"""What `fielding apply` says before it begins: what the plan holds, and what the journal says of it already."""

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fielding_async import JournalCounts, read_journal
from fielding_async.cli.shared.output import clean
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
from fielding_async.cli.shared.plan.row import ACTIONS
from fielding_async.core.errors import ConfigurationError
from fielding_async.journal.replay import begins_a_journal
from fielding_async.journal.values import is_same_exchange

from .progress import duration

if TYPE_CHECKING:
    from .command import Order

__all__ = ["dry_run_lines", "dry_run_object", "earlier_counts", "place", "prompt_lines", "unsent_rows"]

_RATES = (5.0, 20.0)
_LONGEST = 1 << 20


def earlier_counts(order: "Order", checked: CheckedPlan) -> JournalCounts | None:
    """Return what the journal holds, if there is one. Raises `ConfigurationError` if it belongs to something else."""
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
        other = f"is of another exchange ({clean(summary.base_url)}, not {order.base_url})"
    elif summary.plan == checked.digest:
        return summary.counts
    raise ConfigurationError(
        f"the journal {order.journal} {other}; nothing was sent. To go on, restore what it is of; to apply this plan"
        " from its beginning, move the journal away or name another one with --journal"
    )


def _is_unbegun(journal: Path) -> bool:
    """Whether there is no journal yet, or one whose first line a crash tore: until that is whole nothing is sent."""
    try:
        if not stat.S_ISREG(journal.stat().st_mode):
            return False
        with journal.open("rb") as file:
            first = file.readline(_LONGEST)
    except FileNotFoundError:
        return True
    return not first.endswith(b"\n") and begins_a_journal(first)


def prompt_lines(order: "Order", checked: CheckedPlan, earlier: JournalCounts | None) -> list[str]:
    """Return what is about to be done."""
    return [f"{clean(order.plan)}: {_rows_text(checked)}, on {place(order)}", *_earlier_lines(order, checked, earlier)]


def place(order: "Order") -> str:
    """Return what the plan is applied to."""
    return f"SANDBOX at {order.base_url}" if order.sandbox else order.base_url


def _rows_text(checked: CheckedPlan) -> str:
    each = ", ".join(f"{checked.actions[name]:,} {name}" for name in ACTIONS if name in checked.actions)
    return f"{checked.rows:,} row{'' if checked.rows == 1 else 's'} ({each})"


def _earlier_lines(order: "Order", checked: CheckedPlan, earlier: JournalCounts | None) -> list[str]:
    if earlier is None:
        if not order.journal.exists():
            return []
        return [f"the journal {clean(str(order.journal))} is there, but holds nothing: the plan begins anew"]
    ended = f"{earlier.ended:,} rows have ended, {earlier.in_flight:,} were under way"
    journal, unsent = clean(str(order.journal)), unsent_rows(checked, earlier)
    return [f"going on with the journal {journal}: {ended}, {unsent:,} were never sent"]


def unsent_rows(checked: CheckedPlan, counts: JournalCounts) -> int:
    """Return how many rows were never sent: those that the journal does not speak of."""
    return checked.rows - counts.ended - counts.in_flight


def _requests_left(checked: CheckedPlan, earlier: JournalCounts | None) -> int:
    left = checked.rows if earlier is None else checked.rows - earlier.ended
    return round(checked.requests * left / checked.rows)


def dry_run_lines(order: "Order", checked: CheckedPlan, earlier: JournalCounts | None) -> list[str]:
    """Return what would be sent, as lines."""
    requests = _requests_left(checked, earlier)
    if order.rate is not None:
        time_needed = f"about {duration(requests / order.rate)} at {order.rate:g} requests a second"
    else:
        times = " and ".join(f"{duration(requests / rate)} at {rate:g}" for rate in _RATES)
        time_needed = f"not known without --rate; it would be {times} requests a second"
    return [
        f"{clean(order.plan)}: {_rows_text(checked)}, on {order.base_url}",
        *_earlier_lines(order, checked, earlier),
        f"requests: about {requests:,} (a look at each run, a write for each row; conflicts and retries come on top)",
        f"time: {time_needed}",
        "dry run: nothing was sent",
    ]


def dry_run_object(order: "Order", checked: CheckedPlan, earlier: JournalCounts | None) -> dict[str, Any]:
    """Return what would be sent, as an object."""
    requests = _requests_left(checked, earlier)
    return {
        "kind": "dry-run",
        "plan": order.plan,
        "base_url": order.base_url,
        "rows": checked.rows,
        "actions": checked.actions,
        "digest": checked.digest,
        "ended_before": earlier.ended if earlier else 0,
        "requests": requests,
        "seconds": None if order.rate is None else round(requests / order.rate, 1),
    }

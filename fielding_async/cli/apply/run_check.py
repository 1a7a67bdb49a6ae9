"""`--check-runs`: fetches runs of a plan before anything is sent, and finds those that are not there."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import click
from attrs import field, frozen

from fielding_async import FieldingSession, JournalSummary, Limits
from fielding_async.cli.shared.exit_status import Exit, silence_log
from fielding_async.cli.shared.output import printable, write_json, write_stderr
from fielding_async.cli.shared.plan.checked_plan import SHOWN, CheckedPlan, verified_rows
from fielding_async.cli.shared.plan.row import BadLine, PlanRow
from fielding_async.cli.shared.signal_handling import run_async
from fielding_async.core.credentials import resolve_auth
from fielding_async.core.errors import NotFoundError
from fielding_async.core.models import RunRef
from fielding_async.journal.replay import Replay

from .journal_files import read_replay
from .order import Order
from .rows.recorded_runs import RecordedRuns, known_run
from .rows.side_by_side import for_each

__all__ = ["check_runs", "spread"]

_HowMany = int | Literal["all"]
"""How many rows are checked."""


@frozen
class _Missing:
    """A run that is not there, and the first line of the plan that names it."""

    line: int
    ref: RunRef
    error: NotFoundError


@frozen
class _Found:
    """What was found: how many runs were fetched, and which of them are missing, in the order of the plan."""

    fetched: int = 0
    missing: list[_Missing] = field(factory=list[_Missing])


def check_runs(
    order: Order,
    checked: CheckedPlan,
    earlier: JournalSummary | None,
    rows: Callable[[], Iterable[PlanRow | BadLine]],
    found_runs: RecordedRuns | None = None,
) -> int | None:
    """Fetch runs of rows that have not ended, and end the command if one is missing.

    `rows` reads the plan again. `found_runs`: the runs of a plan that names none. Returns how many runs were fetched;
    `None` if none had to be.
    """
    if order.check_runs is None or (earlier is not None and earlier.counts.ended == checked.rows):
        return None
    resolve_auth(None, os.environ)
    silence_log()
    replay = Replay() if earlier is None else read_replay(order.journal)
    known = found_runs.runs if found_runs is not None and found_runs.runs else replay.resolved
    named = ((row.line, known_run(row.ref, known)) for row in verified_rows(rows(), checked))
    runs = _sample(named, checked.rows, order.check_runs, lambda number: replay.state(number) is not None)
    found = _Found()

    async def work() -> int:
        nonlocal found
        found = await _get_runs(runs, order)
        return Exit.USAGE if found.missing else Exit.DONE

    if run_async(work):
        _report_missing(order, found, rows=checked.rows, status=Exit.USAGE)
        raise click.exceptions.Exit(Exit.USAGE)
    return found.fetched


def _sample(
    rows: Iterable[tuple[int, RunRef]], count: int, how_many: _HowMany, has_ended: Callable[[int], bool]
) -> Iterator[tuple[int, RunRef]]:
    """Return line and run of the rows to check, each run once.

    `rows`: line and run of all rows of the plan, `count` of them; those that have ended, by their number, are left out.
    `how_many`: so many rows, evenly spread from the first to the last, or all.
    """
    if how_many == "all":
        return _distinct(rows, None, has_ended)
    left = count - sum(map(has_ended, range(count)))
    chosen = set(spread(min(how_many, left), left))
    # a list, so that no time is spent on rows of a long plan while a reply is waited for
    return iter(list(_distinct(rows, chosen, has_ended)))


def spread(count: int, rows: int) -> list[int]:
    """Return so many places, at most `rows`, evenly spread from the first row to the last. Pure."""
    return [place * (rows - 1) // max(1, count - 1) for place in range(count)]


def _distinct(
    rows: Iterable[tuple[int, RunRef]], chosen: set[int] | None, has_ended: Callable[[int], bool]
) -> Iterator[tuple[int, RunRef]]:
    known: set[int] = set()
    place = -1
    for number, (line, ref) in enumerate(rows):
        if has_ended(number):
            continue
        place += 1
        run = hash(ref)  # of a million runs the hashes alone are kept
        if (chosen is None or place in chosen) and run not in known:
            known.add(run)
            yield line, ref


async def _get_runs(runs: Iterator[tuple[int, RunRef]], order: Order) -> _Found:
    """GET these runs, as many at once, as fast and in the same class of requests as the rows of the plan would be sent.

    A run is missing if the exchange itself answers with 404. Raises the `FieldingError` of any other failure.
    """
    missing: list[_Missing] = []
    fetched = 0
    # one slot more, as such requests leave one to calls
    async with FieldingSession(limits=Limits(concurrency=order.concurrency + 1, rate=order.rate)) as fielding:

        async def fetch(row: tuple[int, RunRef]) -> None:
            nonlocal fetched
            line, ref = row
            fetched += 1
            try:
                await fielding.engine().get_run(ref, is_background=True)
            except NotFoundError as error:
                if error.object is None:
                    raise  # the answer of something in between
                missing.append(_Missing(line, ref, error))

        failed = await for_each(runs, fetch, concurrency=order.concurrency)
    if failed is not None:
        write_stderr("fielding: apply: nothing was sent, because not all runs could be checked (--check-runs):")
        raise failed
    return _Found(fetched, sorted(missing, key=lambda run: run.line))


def _report_missing(order: Order, found: _Found, *, rows: int, status: int) -> None:
    """Write which runs are missing: to stderr the first of them, and with `--json` all as objects."""
    total = len(found.missing)
    runs = f"{total:,} of {found.fetched:,} runs checked {'does' if total == 1 else 'do'}"
    lines = [f"fielding: {printable(order.plan)}: {runs} not exist; nothing was sent"]
    lines += [f"  line {run.line}: {run.ref}: {printable(run.error.message)}" for run in found.missing[:SHOWN]]
    if total > SHOWN:
        lines.append(f"  and {total - SHOWN:,} more; --json lists every one of them")
    write_stderr("\n".join(lines))
    if not order.as_json:
        return
    for run in found.missing:
        named = {"line": run.line, "ref": str(run.ref), "message": run.error.message, "trace_id": run.error.trace_id}
        write_json({"kind": "missing-run", "plan": order.plan, **named})
    counts = {"runs_checked": found.fetched, "runs_missing": total}
    write_json({"kind": "check-runs", "plan": order.plan, "rows": rows, **counts, "exit_status": status})

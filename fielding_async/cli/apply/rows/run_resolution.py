"""Finds the run of each target group of a plan that names no runs. Sends only GETs."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext

import click
from attrs import field, frozen

from fielding_async import FieldingSession, Limits
from fielding_async.cli.shared.exit_status import Exit, report_error, silence_log, status_of
from fielding_async.cli.shared.output import is_live, printable, stderr_console, write_stderr
from fielding_async.cli.shared.plan.cells.problems import Problem, wrong
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan, verified_rows
from fielding_async.cli.shared.plan.row import BadLine, PlanRow
from fielding_async.cli.shared.signal_handling import run_async
from fielding_async.core.credentials import resolve_auth
from fielding_async.core.errors import FieldingError, NotFoundError, ProtocolError
from fielding_async.core.ids import is_plain_id
from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.journal.values import ResolvedRuns

from .plan_check import check_lines
from .recorded_runs import RecordedRuns
from .side_by_side import for_each

__all__ = ["find_runs"]

_COLUMN = "target_group_id"
_NO_RUN = "has no fielding run (a draft has none until it is launched): remove its rows, or launch it first"
_NO_GROUP = "is not known to the exchange: check the ids of account, project and target group"
_SEVERAL = "has more than one fielding run: name one of them, in a column fielding_run_id"
_SHARED = "has the same fielding run as another target group: name the runs, in a column fielding_run_id"


@frozen
class _Found:
    """The run of each target group that has one, and what is wrong with the others. A ref here names no run."""

    runs: dict[RunRef, str] = field(factory=dict[RunRef, str])
    problems: dict[RunRef, Problem] = field(factory=dict[RunRef, Problem])


def find_runs(
    name: str,
    checked: CheckedPlan,
    rows: Callable[[], Iterable[PlanRow | BadLine]],
    *,
    on_record: int,
    concurrency: int,
    rate: float | None,
    as_json: bool,
    words: tuple[str, ...],
) -> RecordedRuns | None:
    """Return the runs of a plan called `name` that names none; `None` if it names them. Nothing is written.

    `rows` reads the plan again. `on_record`: how many runs its journal has; if there are any, they are used, and none
    is looked for. `concurrency`, `rate`: of the GETs, one for each target group. `words`: the command as it was given.
    Ends the command if a target group has no run, or several, and if one of the GETs fails otherwise.
    """
    if not checked.names_no_runs:
        return None
    if on_record:
        return RecordedRuns(None, target_groups=on_record)
    resolve_auth(None, os.environ)
    silence_log()
    groups = list(dict.fromkeys(row.ref for row in verified_rows(rows(), checked)))
    found = _Found()
    failed: FieldingError | None = None

    async def work() -> int:
        nonlocal failed
        failed = await _get_all(groups, found, Limits(concurrency=concurrency, rate=rate), name)
        return Exit.DONE

    run_async(work)
    if failed is not None:
        write_stderr(
            f"fielding: apply: nothing was sent: {printable(name)} names no runs, and the runs of its target groups"
            " could not be found:"
        )
        report_error(failed, doing="apply", as_json=as_json)
        status = status_of(failed)
        raise click.exceptions.Exit(Exit.UNKNOWN if status is Exit.FAILED else status)
    _find_shared(groups, found)
    if found.problems:
        lines = _with_problems(verified_rows(rows(), checked), found.problems)
        check_lines(name, lines, as_json=as_json, words=words)
    return RecordedRuns(_by_project(groups, found), target_groups=len(groups))


async def _get_all(groups: list[RunRef], found: _Found, limits: Limits, name: str) -> FieldingError | None:
    """GET the runs of these target groups, as many at once as `limits` says. Returns what one of the GETs failed with.

    A target group has no run if the exchange itself says so.
    """
    console, what = stderr_console(), f"finding the runs of {printable(name)}"
    with console.status(what, spinner="line") if is_live(console) else nullcontext() as status:
        async with FieldingSession(limits=limits) as fielding:

            async def get(group: RunRef) -> None:
                answer = await _get(fielding, group)
                if isinstance(answer, Problem):
                    found.problems[group] = answer
                else:
                    found.runs[group] = answer
                if status is not None:
                    count = len(found.runs) + len(found.problems)
                    status.update(f"{what}: {count:,} of {len(groups):,}")

            return await for_each(groups, get, concurrency=min(limits.concurrency, len(groups)))


async def _get(fielding: FieldingSession, ref: RunRef) -> str | Problem:
    """Return the run of a target group, or why it has not exactly one."""
    group = fielding.project(ref.account_id, ref.project_id).target_group(ref.target_group_id)
    try:
        runs = await group.list_runs()
    except NotFoundError as error:
        if error.object is None:
            raise  # the answer of something in between
        return wrong(_COLUMN, ref.target_group_id, _NO_GROUP, f" ({printable(error.message)})")
    if not runs:
        return wrong(_COLUMN, ref.target_group_id, _NO_RUN)
    if len(runs) > 1:
        some = ", ".join(printable(run.id) for run in runs[:3])
        return wrong(_COLUMN, ref.target_group_id, _SEVERAL, f" ({some}{', ...' if len(runs) > 3 else ''})")
    _check(runs[0], ref)
    return runs[0].id


def _check(run: FieldingRun, asked: RunRef) -> None:
    """Raise `ProtocolError` for a run that cannot be that of the target group."""
    what = f"list of the fielding runs of target group {asked.target_group_id}"
    if not is_plain_id(run.id):
        raise ProtocolError(f"{what}: {run.id!r:.60} is not a fielding run id")
    for name in ("account_id", "project_id", "target_group_id"):
        value = getattr(run, name)
        if value is not None and value != getattr(asked, name):
            raise ProtocolError(f"{what}: run {run.id} has the {name} {value!r:.60}")


def _find_shared(groups: Iterable[RunRef], found: _Found) -> None:
    """Take the run from each target group that has the run of one before it: their rows would not keep their order."""
    owners: dict[str, RunRef] = {}
    for group in groups:
        run = found.runs.get(group)
        owner = group if run is None else owners.setdefault(run, group)
        if owner is not group:
            more = f" ({printable(found.runs.pop(group))}, of {owner.target_group_id})"
            found.problems[group] = wrong(_COLUMN, group.target_group_id, _SHARED, more)


def _with_problems(rows: Iterable[PlanRow], problems: dict[RunRef, Problem]) -> Iterator[PlanRow | BadLine]:
    for row in rows:
        problem = problems.get(row.ref)
        yield row if problem is None else BadLine(row.line, (problem,))


def _by_project(groups: Iterable[RunRef], found: _Found) -> ResolvedRuns:
    runs: ResolvedRuns = {}
    for group in groups:
        runs.setdefault((group.account_id, group.project_id), {})[group.target_group_id] = found.runs[group]
    return runs

"""What `fielding demo` shows: progress while it runs, a table and the verdict at its end."""

import asyncio
from time import monotonic

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fielding_async.cli.shared.output import is_live, printable

from .fault_plan import ACTIONS
from .report import Report, Row
from .scenario import RELAUNCH, Scenario, run_scenario

__all__ = ["Display", "problem_lines", "report_lines", "report_table"]

_SHOWN_PROBLEMS = 20


class Display:
    """Shows progress while the demo runs: bars on a terminal, else a line each second."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._scenario: Scenario | None = None

    async def run(self, runs: int, seed: int) -> Scenario:
        """Run the demo to its end, and show its progress."""
        if self._quiet:
            return await run_scenario(runs, seed, self._on_start)
        if is_live(self._console):
            with Live(self, console=self._console, refresh_per_second=10, transient=True):
                return await run_scenario(runs, seed, self._on_start)
        lines = asyncio.get_running_loop().create_task(self._write_lines())
        try:
            return await run_scenario(runs, seed, self._on_start)
        finally:
            lines.cancel()
            await asyncio.wait([lines])
            if not lines.cancelled():
                lines.exception()  # retrieve an error of the output (a full disk): writing the report raises it too

    def _on_start(self, scenario: Scenario) -> None:
        self._scenario = scenario

    async def _write_lines(self) -> None:
        while True:
            await asyncio.sleep(1)
            if self._scenario is not None:
                self._console.print(Text(f"{self._progress(self._scenario)}, {self._counters(self._scenario)}"))

    def _progress(self, scenario: Scenario) -> str:
        return f"{len(scenario.steps)} of {len(scenario.refs) * len(ACTIONS)} actions done"

    def _counters(self, scenario: Scenario) -> str:
        requests = scenario.sandbox.requests
        refused = sum(request.status == 429 for request in requests)
        conflicts = sum(request.status == 412 for request in requests)
        seconds = monotonic() - scenario.began
        return f"{len(requests)} requests, {conflicts} conflicts, {refused} 429s, {seconds:.0f} s"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if (scenario := self._scenario) is None:
            return
        total = len(scenario.refs)
        grid = Table.grid(padding=(0, 1))
        for name in ACTIONS:
            done = sum(step.action.name == name for step in scenario.steps.copy())
            grid.add_row(Text(name), ProgressBar(total=total, completed=done, width=40), Text(f"{done}/{total}"))
        dozen = len(scenario.to_relaunch)
        done = len(scenario.relaunched.updated) if scenario.relaunched else 0
        grid.add_row(Text(RELAUNCH), ProgressBar(total=dozen, completed=done, width=40), Text(f"{done}/{dozen}"))
        yield grid
        yield Text(self._counters(scenario))


def report_table(report: Report) -> Table:
    """Return the figures as a table."""
    table = Table(show_footer=True)
    total = report.total
    table.add_column("Action", "total", no_wrap=True)
    columns = (
        ("Runs", ""),
        ("Requests\nsent", f"{total.requests}"),
        ("Conflicts\nmet", f"{total.conflicts}"),
        ("429s", f"{total.rate_limited}"),
        ("Lost replies\nhealed", _healed(total)),
    )
    for header, footer in columns:
        table.add_column(header, footer, justify="right")
    for row in report.rows:
        figures = (row.runs, row.requests, row.conflicts, row.rate_limited)
        table.add_row(row.action, *map(str, figures), _healed(row))
    return table


def _healed(row: Row) -> str:
    return f"{row.healed} of {row.lost}"


def report_lines(report: Report) -> list[str]:
    """Return the time, the colleague's writes, and the verdict if it is a good one, as lines."""
    verdict = report.verdict
    lines = [
        f"Took {report.seconds:.1f} s. A colleague wrote to the same runs {verdict.by_colleague} times in between."
    ]
    lines += [f"Remark: {remark}." for remark in report.remarks]
    if report.ok:
        asked = f"{verdict.requested} writes asked for"
        lines += ["The sandbox's own history of applied writes, checked:", f"{asked}, each applied exactly once."]
    return lines


def problem_lines(report: Report) -> list[str]:
    """Return the problems as lines for stderr."""
    count = len(report.problems)
    lines = [f"fielding: demo: the check failed ({report.verdict.requested} writes asked for, {count} problems)"]
    lines += [f"  {printable(problem)}" for problem in report.problems[:_SHOWN_PROBLEMS]]
    return lines + ([f"  and {count - _SHOWN_PROBLEMS} more"] if count > _SHOWN_PROBLEMS else [])

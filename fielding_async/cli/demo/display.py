"""What `fielding demo` shows: progress while it runs, the table and the verdict at its end."""

import asyncio
from time import monotonic

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fielding_async.cli.shared.output import clean, is_live

from .fault_plan import JOURNEY
from .report import Report, Row
from .scenario import RELAUNCH, Play, play

__all__ = ["Display", "report_lines", "report_table", "trouble_lines"]

_SHOWN_PROBLEMS = 20


class Display:
    """Progress while the demo runs: bars on a terminal, else a line now and then."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._play: Play | None = None

    async def show(self, runs: int, seed: int) -> Play:
        """Perform the demo, and show how far it is."""
        if self._quiet:
            return await play(runs, seed, self._watch)
        if is_live(self._console):
            with Live(self, console=self._console, refresh_per_second=10, transient=True):
                return await play(runs, seed, self._watch)
        lines = asyncio.get_running_loop().create_task(self._write_lines())
        try:
            return await play(runs, seed, self._watch)
        finally:
            lines.cancel()
            await asyncio.wait([lines])
            if not lines.cancelled():
                lines.exception()  # a full disk, which the report will meet as well

    def _watch(self, play: Play) -> None:
        self._play = play

    async def _write_lines(self) -> None:
        while True:
            await asyncio.sleep(1)
            if self._play is not None:
                self._console.print(Text(f"{self._progress(self._play)}, {self._counters(self._play)}"))

    def _progress(self, play: Play) -> str:
        return f"{len(play.steps)} of {len(play.refs) * len(JOURNEY)} actions done"

    def _counters(self, play: Play) -> str:
        requests = play.sandbox.requests
        refused = sum(request.status == 429 for request in requests)
        conflicts = sum(request.status == 412 for request in requests)
        seconds = monotonic() - play.began
        return f"{len(requests)} requests, {conflicts} conflicts, {refused} 429s, {seconds:.0f} s"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if (play := self._play) is None:
            return
        total = len(play.refs)
        grid = Table.grid(padding=(0, 1))
        for name in JOURNEY:
            done = sum(step.action.name == name for step in play.steps.copy())
            grid.add_row(Text(name), ProgressBar(total=total, completed=done, width=40), Text(f"{done}/{total}"))
        dozen = len(play.to_relaunch)
        done = len(play.relaunched.updated) if play.relaunched else 0
        grid.add_row(Text(RELAUNCH), ProgressBar(total=dozen, completed=done, width=40), Text(f"{done}/{dozen}"))
        yield grid
        yield Text(self._counters(play))


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
    """Return what else there is to say, and the verdict if it is a good one."""
    verdict = report.verdict
    lines = [
        f"Took {report.seconds:.1f} s. A colleague wrote to the same runs {verdict.by_colleague} times in between."
    ]
    if report.ok:
        asked = f"{verdict.asked} writes asked for"
        lines += ["The sandbox's own history of applied writes, checked:", f"{asked}, each applied exactly once."]
    return lines


def trouble_lines(report: Report) -> list[str]:
    """Return what is wrong, as lines for stderr."""
    count = len(report.problems)
    lines = [f"fielding: demo: the check failed ({report.verdict.asked} writes asked for, {count} problems)"]
    lines += [f"  {clean(problem)}" for problem in report.problems[:_SHOWN_PROBLEMS]]
    return lines + ([f"  and {count - _SHOWN_PROBLEMS} more"] if count > _SHOWN_PROBLEMS else [])

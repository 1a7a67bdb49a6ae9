"""`fielding demo`: takes runs of a sandbox through their actions, on real sockets, and reports what happened."""

import click

from fielding_async.cli.shared.arguments.numbers import WholeNumber
from fielding_async.cli.shared.arguments.options import json_option
from fielding_async.cli.shared.exit_status import Exit, perform
from fielding_async.cli.shared.output import (
    is_live,
    stderr_console,
    stdout_console,
    write_json,
    write_stderr,
    write_stdout,
)

__all__ = ["demo"]


@click.command()
@click.option(
    "--runs",
    type=WholeNumber(1, 200),
    default=60,
    show_default=True,
    metavar="NUMBER",
    help="How many runs to take through, 1 to 200.",
)
@click.option(
    "--seed",
    type=WholeNumber(),
    default=1,
    show_default=True,
    metavar="NUMBER",
    help="Chooses which replies are lost, and where.",
)
@json_option
def demo(runs: int, seed: int, as_json: bool) -> None:
    """Show the SDK at work, with no account and no network.

    The command starts a sandbox of the exchange on this machine. The sandbox has a rate limit, a colleague who writes
    to the same runs, and some replies that are lost. Then the command launches, updates, pauses, resumes and completes
    many runs at once, and relaunches a dozen of them with one bulk job.

    At the end it shows the time and the number of requests. It then checks that the sandbox has applied each write
    exactly once. If this is not so, it says what is wrong and exits with 1. The demo does not use the settings of the
    environment (FIELDING_*, proxies).

    \b
    Examples:
      fielding demo
      fielding demo --runs 12 --seed 7
      fielding demo --json
    """

    async def work() -> int:
        from .display import Display, problem_lines, report_lines, report_table
        from .report import make_report, report_object

        console = stderr_console() if as_json else stdout_console()
        if not as_json:
            noun = "fielding run" if runs == 1 else "fielding runs"
            write_stdout(f"{runs} {noun} against a sandbox that limits, conflicts and drops replies\n")
        display = Display(console, quiet=as_json and not is_live(console))
        try:
            report = make_report(await display.run(runs, seed))
        except OSError as error:
            write_stderr(f"fielding: the sandbox cannot listen on this machine: {error.strerror or error}")
            return Exit.FAILED
        if as_json:
            write_json(report_object(report))
        else:
            console.print(report_table(report))
            write_stdout("\n".join(["", *report_lines(report)]))
        if not report.ok:
            write_stderr("\n".join(problem_lines(report)))
        return Exit.DONE if report.ok else Exit.FAILED

    perform(work, doing="demo", as_json=as_json)

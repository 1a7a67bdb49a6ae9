"""The check of a whole plan before any row is used: every bad line is reported, and then the command ends."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext

import click

from fielding_async.cli.shared.exit_status import Exit
from fielding_async.cli.shared.output import is_live, stderr_console, write_json, write_stderr

from .checked_plan import CheckedPlan, bad_plan_lines, check_plan, plan_object
from .file import PlanFile
from .lines import Place
from .row import BadLine, Defaults, PlanRow

__all__ = ["check_file", "check_lines"]

_LARGE = 4 << 20  # bytes of a plan whose check is shown with its progress


def check_file(
    file: PlanFile,
    defaults: Defaults,
    *,
    as_json: bool,
    all_of_them: str,
    nothing: str = "nothing was sent",
    row_digest: Callable[[PlanRow], int] | None = None,
) -> CheckedPlan:
    """Check the whole plan. Ends the command, and names every bad line, if there are any.

    `all_of_them`: the command that names every bad line. `nothing`: what did not happen. With `row_digest` the places
    of the rows are noted, too, so that `rows_left` can pass over rows. Raises what reading the plan raises.
    """
    console = stderr_console()
    shows = file.size >= _LARGE and is_live(console)
    with console.status(f"checking {file.name}", spinner="line") if shows else nullcontext() as status:

        def show_position(position: int) -> None:
            if status is not None:
                status.update(f"checking {file.name}: {position / file.size:.0%}")

        rows = file.rows(defaults, show_position)
        place = None if row_digest is None else (lambda: file.place)
        return check_lines(
            *(file.name, rows),
            as_json=as_json,
            all_of_them=all_of_them,
            nothing=nothing,
            place=place,
            row_digest=row_digest,
        )


def check_lines(
    name: str,
    lines: Iterable[PlanRow | BadLine],
    *,
    as_json: bool,
    all_of_them: str,
    nothing: str = "nothing was sent",
    place: Callable[[], Place] | None = None,
    row_digest: Callable[[PlanRow], int] | None = None,
) -> CheckedPlan:
    """Check the lines of a plan. Ends the command, and names every bad line, if there are any.

    `place` returns where the plan was read up to. The other arguments are those of `check_file`.
    """

    def write_bad(bad: BadLine) -> None:
        reasons = [problem.text for problem in bad.problems]
        write_json({"kind": "bad-line", "plan": name, "line": bad.line, "reasons": reasons})

    checked = check_plan(lines, on_bad=write_bad if as_json else None, place=place, row_digest=row_digest)
    if not checked.bad:
        return checked
    write_stderr("\n".join(bad_plan_lines(name, checked, all_of_them=all_of_them, nothing=nothing)))
    if as_json:
        write_json({**plan_object(name, checked), "exit_status": int(Exit.USAGE)})
    raise click.exceptions.Exit(Exit.USAGE)

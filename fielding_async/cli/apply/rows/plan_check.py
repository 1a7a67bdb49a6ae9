"""The check of a whole plan before anything is sent, as `fielding apply` does it."""

import shlex
from collections.abc import Iterable

from fielding_async.cli.shared.output import printable, write_json, write_stderr
from fielding_async.cli.shared.plan import plan_check
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
from fielding_async.cli.shared.plan.file import PlanFile
from fielding_async.cli.shared.plan.row import BadLine, Defaults, PlanRow
from fielding_async.journal.lines import row_digest

__all__ = ["check_file", "check_lines", "report_no_rows"]


def check_file(file: PlanFile, defaults: Defaults, *, as_json: bool, words: tuple[str, ...]) -> CheckedPlan:
    """Check the whole plan, and note what is needed to compare it with its journal, block by block.

    Ends the command, and names every bad line, if there are any. `words`: the command as it was given. Raises what
    reading the plan raises.
    """
    return plan_check.check_file(
        file, defaults, as_json=as_json, all_of_them=_all_of_them(words), row_digest=_row_digest
    )


def check_lines(name: str, lines: Iterable[PlanRow | BadLine], *, as_json: bool, words: tuple[str, ...]) -> CheckedPlan:
    """Check the lines of a plan. Ends the command, and names every bad line, if there are any."""
    return plan_check.check_lines(name, lines, as_json=as_json, all_of_them=_all_of_them(words))


def _all_of_them(words: tuple[str, ...]) -> str:
    again = [word for word in words if word not in {"--yes", "--json", "--dry-run"}]
    return shlex.join([*again, "--dry-run", "--json"])


def _row_digest(row: PlanRow) -> int:
    return row_digest(row.ref, row.action, row.if_match)


def report_no_rows(name: str, *, as_json: bool) -> None:
    """Report a plan with a header and no rows. No journal is read."""
    write_stderr(printable(f"fielding: apply: nothing was sent: {name} holds no rows, only the names of the columns"))
    if as_json:
        named = dict.fromkeys(
            ("done", "failed", "unknown", "skipped", "stuck", "open", "in_flight", "never_sent", "sent_now"), 0
        )
        write_json({"kind": "apply", "plan": name, "rows": 0, **named, "ended_before": 0, "exit_status": 0})

"""A plan of pauses, each of another run, for the benchmarks of `fielding apply`."""

from pathlib import Path

from benchmarks.alone import made_up_ref
from fielding_async.cli.shared.plan.row import COLUMNS

__all__ = ["write_plan"]


def write_plan(path: Path, rows: int) -> None:
    """Write a plan of so many rows."""
    with path.open("w") as file:
        file.write(",".join(COLUMNS) + "\n")
        for number in range(rows):
            ref = made_up_ref(number)
            file.write(f"{ref.account_id},{ref.project_id},{ref.target_group_id},{ref.fielding_run_id},pause,,\n")

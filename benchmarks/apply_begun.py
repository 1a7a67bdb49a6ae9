"""Performs the first rows of a plan with the journal that `fielding apply` goes on with: what a kill may leave.

A script, so that it runs with the package of any commit, whose path is `PYTHONPATH`:
`python -P benchmarks/apply_begun.py PLAN JOURNAL BASE_URL ROWS_LEFT`.
"""

import asyncio
import sys
from itertools import islice

from fielding_async import FieldingSession, Limits
from fielding_async.cli.shared.plan.checked_plan import check_plan
from fielding_async.cli.shared.plan.file import PlanFile
from fielding_async.cli.shared.plan.row import Defaults, PlanRow

_AT_ONCE = 32


async def _begin(plan: str, journal: str, base_url: str, left: int) -> None:
    with PlanFile(plan) as file:
        checked = check_plan(file.rows(Defaults()))
        rows = (row for row in file.rows(Defaults()) if isinstance(row, PlanRow))
        pairs = ((row.ref, row.action) for row in islice(rows, checked.rows - left))
        async with (
            FieldingSession("token", base_url=base_url, limits=Limits(concurrency=_AT_ONCE + 1)) as fielding,
            fielding.perform_all(pairs, journal=journal, plan=checked.digest, concurrency=_AT_ONCE) as batch,
        ):
            async for done in batch:
                done.result()


if __name__ == "__main__":
    asyncio.run(_begin(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))

"""A worker of the demo, in a process of its own: `python -m fielding_async.cli.plans.demo.worker PLAN`.

An attempt may take 2 seconds, where `fielding plans work` allows 20: so the lease of a worker that stops ends sooner.
"""

import asyncio
import os
import sys

from fielding_async import FieldingSession, Limits, Timeout
from fielding_async.plans import PostgresPlans

__all__: list[str] = []

_ATTEMPT = 2.0


async def _work(plan: str) -> None:
    parent = os.getppid()
    limits, timeout = Limits(concurrency=9), Timeout(attempt=_ATTEMPT, connect=_ATTEMPT)
    async with FieldingSession(limits=limits, timeout=timeout) as fielding, PostgresPlans() as plans:
        while os.getppid() == parent:
            worked = await plans.work(fielding, plan, seconds=2)
            if not worked.left:
                return
            await asyncio.sleep(min(worked.wait, 0.5))


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1]))

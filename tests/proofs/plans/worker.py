"""A bare worker: a loop around `PostgresPlans.work`, as a Kubernetes Job or a host without a queue runs it.

`python -m tests.proofs.plans.worker PLAN`, with `FIELDING_PLANS_URL`, `FIELDING_BASE_URL` and `FIELDING_TOKEN`.
"""

import argparse
import asyncio
import signal
import sys
from contextlib import suppress
from functools import partial

from fielding_async import FieldingSession, JournalError, Timeout
from fielding_async.plans import PostgresPlans
from fielding_async.plans.working import work
from fielding_async.plans.working.lease import Terms

__all__ = ["main"]

_LONGEST_WAIT = 1.0  # seconds, where there is nothing to do or the store is away


def set_slack(seconds: float) -> None:
    """Have leases of this process granted for so many seconds beside the time of an attempt; no option of users."""
    setattr(work, "Terms", partial(Terms, slack=seconds))  # noqa: B010 - a name of another module


async def _work(name: str, seconds: float, attempt: float) -> None:
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    timeout = Timeout(total=max(60.0, 3 * attempt), attempt=attempt, connect=min(10.0, attempt))
    async with FieldingSession(timeout=timeout) as fielding, PostgresPlans() as plans:
        while not ending.is_set():
            wait = _LONGEST_WAIT
            try:
                worked = await plans.work(fielding, name, seconds=seconds)
            except JournalError as problem:
                print(f"the store is away: {problem}", file=sys.stderr, flush=True)
            else:
                if not worked.left:
                    return
                wait = min(wait, worked.wait)
            if wait > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(ending.wait(), wait)


def main() -> None:
    """Work on a plan until it is finished, or a SIGTERM comes."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.plans.worker", description=main.__doc__)
    parser.add_argument("plan")
    parser.add_argument("--seconds", type=float, default=15.0, help="of a slice")
    parser.add_argument("--attempt", type=float, default=20.0, help="time limit of an attempt, in seconds")
    parser.add_argument("--slack", type=float, default=12.0, help="seconds of a lease beside an attempt's time")
    given = parser.parse_args()
    set_slack(given.slack)
    asyncio.run(_work(given.plan, given.seconds, given.attempt))


if __name__ == "__main__":
    main()

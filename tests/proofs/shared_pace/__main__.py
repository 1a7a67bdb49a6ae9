"""Strike the store of eight sessions with one pace under load, for seconds each, and print what came of it.

    python -m tests.proofs.shared_pace [--strike NAME] [--limit NAME] [--program NAME] [--calls N] [--check]

A stall is a time in which a session sends nothing, although no refusal asks for a pause. `--check`: the exit status is
1 if a call failed, or a session stalled for more than `STALL` seconds.
"""

import argparse
import asyncio
from contextlib import ExitStack

from attrs import frozen

from benchmarks.limit_servers import Limit
from benchmarks.report import Cell, table
from tests.tools.fault_proxy import FaultProxy
from tests.tools.services import REDIS_PROGRAMS, RedisServer, find

from .load import Load, Plan
from .strikes import STRIKES, Scene

STALL = 0.6
"""Seconds: 0.3 that a call may wait for the store, and the time between two turns of a session on a busy machine."""

PLANS = {
    "window, told": Plan(Limit.of("fixed-window", 100.0), 100.0, sessions=8, is_told=True),
    "window": Plan(Limit.of("fixed-window", 100.0), 100.0, sessions=8),
    "bucket, told": Plan(Limit.of("token-bucket", 100.0), 100.0, sessions=8, is_told=True),
    "bucket": Plan(Limit.of("token-bucket", 100.0), 100.0, sessions=8),
}
COLUMNS = ["strike", "limit", "program", "failures", "requests", "429s", "before", "most in 1 s", "longest stall"]


@frozen
class Struck:
    """What came of a strike. `failures`: each error once. `before`: the 429s before the strike."""

    failures: list[Exception]
    requests: int
    refused: int
    refused_before: int
    most: int
    stall: float

    @property
    def holds(self) -> bool:
        """Whether no call failed, and no session stalled."""
        return not self.failures and self.stall <= STALL

    def row(self, *names: str) -> list[Cell]:
        """Return it as a row of the table."""
        counts: list[Cell] = [len(self.failures), self.requests, self.refused, self.refused_before, self.most]
        return [*names, *counts, round(self.stall, 2)]


async def strike(name: str, plan: Plan, program: str, calls: int) -> Struck:
    """Carry one strike out on sessions that share."""
    with ExitStack() as servers:
        redis = servers.enter_context(RedisServer(program=program))

        def start_replica() -> RedisServer:
            return servers.enter_context(RedisServer(program=program, replica_of=redis))

        async with FaultProxy(redis.port) as proxy, Load(plan, redis.url_at(proxy.port)) as load:
            await load.all_sharing()
            await load.more(calls)
            since, before = load.exchange.now, load.refused
            await STRIKES[name](Scene(load, redis, proxy, start_replica, calls))
            await load.more(5)
            await load.all_sharing()
            await load.more(calls)
            stall, most = max(load.longest_stalls(since)), load.most_in_a_second(since)
        return Struck(load.errors, len(load.exchange.arrivals), load.refused - before, before, most, stall)


def main() -> int:
    """Carry out the strikes asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.proofs.shared_pace",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--strike", action="append", choices=list(STRIKES))
    parser.add_argument("--limit", action="append", choices=list(PLANS))
    parser.add_argument("--program", action="append", choices=REDIS_PROGRAMS)
    parser.add_argument("--calls", type=int, default=100, help="of every session, before, during and after a strike")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    programs = [program for program in options.program or REDIS_PROGRAMS if find(program) is not None]
    broken = 0
    for program in programs:
        for limit in options.limit or PLANS:
            rows: list[list[Cell]] = []
            for name in options.strike or STRIKES:
                struck = asyncio.run(strike(name, PLANS[limit], program, options.calls))
                rows.append(struck.row(name, limit, program))
                broken += not struck.holds
                for error in struck.failures[:3]:
                    print(f"{name}: {error!r}")
            print(table(COLUMNS, rows), flush=True)
    print(f"{broken} did not hold")
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    raise SystemExit(main())

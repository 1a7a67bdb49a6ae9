"""A kill run from the command line: `python -m tests.proofs.plans --rows 100000 --workers 8 --kills 30`."""

import argparse
import tempfile
import time
from pathlib import Path

from tests.tools.services import PostgresServer

from .engines import ENGINES, fleet_of
from .supervise import Faults, Run, supervise


def main() -> None:
    """Let processes work on a plan, kill, stop and restart what they run on, and judge what they report.

    Ends with status 1 if anything is untrue, or if no takeover met rows in flight: such a run proves nothing.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.plans", description=main.__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--engine", choices=sorted(ENGINES), default="bare")
    parser.add_argument("--etags", choices=("version", "content"), default="version")
    parser.add_argument("--kills", type=int, default=6, help="SIGKILLs of a worker, which is started anew")
    parser.add_argument("--stops", type=int, default=1, help="SIGSTOPs of a worker past its lease, then SIGCONT")
    parser.add_argument("--stop-seconds", type=float, default=60.0, help="how long a stop outlasts the lease")
    parser.add_argument("--restarts", type=int, default=1, help="of PostgreSQL, as with -m immediate")
    parser.add_argument("--lost", type=float, default=0.02, help="share of the replies that are lost")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a slice")
    parser.add_argument("--attempt", type=float, default=5.0, help="time limit of an attempt, in seconds")
    parser.add_argument("--slack", type=float, default=12.0, help="seconds of a lease beside that; of bare workers")
    parser.add_argument("--rate", type=float, help="requests a second that the exchange allows; left out: no limit")
    parser.add_argument("--longest", type=float, default=3600.0, help="seconds after which the run is given up")
    parser.add_argument("--least-in-flight", type=int, default=1, help="rows that takeovers must have met in flight")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", type=Path, help="a folder for the exchange's log and what the workers write")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else int(time.time())
    run = Run(
        rows=given.rows,
        workers=given.workers,
        etags=given.etags,
        seed=seed,
        faults=Faults(
            kills=given.kills,
            stops=given.stops,
            stop_seconds=given.stop_seconds,
            restarts=given.restarts,
            lost=given.lost,
        ),
        seconds=given.seconds,
        attempt=given.attempt,
        slack=given.slack,
        rate=given.rate,
        longest=given.longest,
    )
    print(f"{given.engine}, {given.etags} ETags, seed {seed}")
    with tempfile.TemporaryDirectory() as made, PostgresServer(max_connections=300) as postgres:
        folder = given.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        with postgres.fresh_database() as database, fleet_of(given.engine, run) as make_fleet:
            found = supervise(run, postgres, database, folder, make_fleet)
    for name, value in found.figures.items():
        print(f"  {name}: {value}")
    print("\n".join(found.breaches) or "none twice, none lost, none out of order, none reported falsely")
    if found.in_flight < given.least_in_flight:
        print(f"the run does not count: takeovers met {found.in_flight} rows in flight")
    raise SystemExit(bool(found.breaches) or found.in_flight < given.least_in_flight)


if __name__ == "__main__":
    main()

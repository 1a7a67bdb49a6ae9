"""A kill run: processes that work on a plan, and what strikes them at moments that a seed decides."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Literal

from attrs import define, field, frozen

from tests.tools.services import PostgresServer

from .exchange import read_log
from .fleet import Exchange, Fleet
from .gather import gather, lease_left, shards_left, submit
from .judge import breaches, unknown_share

__all__ = ["Faults", "Found", "Run", "supervise"]

Etags = Literal["version", "content"]
What = Literal["kill", "stop", "restart"]

_POLL = 0.05  # seconds
_TELL = 10.0  # seconds between two lines of progress
_NEARLY = 0.9  # share of the rows: from here on the plan may be finished, and workers end
_SETTLE = 3.0  # seconds that all workers go on for after the plan is finished and the last one was continued


@frozen(kw_only=True)
class Faults:
    """What strikes, and how often. `stop_seconds`: how long a stop outlasts the lease of what is stopped."""

    kills: int = 3
    stops: int = 1
    stop_seconds: float = 1.0
    restarts: int = 0
    lost: float = 0.02


@frozen(kw_only=True)
class Run:
    """One kill run. `seconds`: of a slice. `attempt`: time limit of an attempt. `slack`: of a lease, beside that.

    `rate`: requests a second that the exchange allows, if it is limited. `longest`: seconds until it is given up.
    """

    rows: int = 400
    workers: int = 3
    etags: Etags = "version"
    seed: int = 0
    faults: Faults = Faults()
    seconds: float = 2.0
    attempt: float = 3.0
    slack: float = 12.0
    rate: float | None = None
    longest: float = 3600.0
    name: str = "kill-run"


@define
class Found:
    """What came of a run. `breaches`: what was untrue; `in_flight`: rows that a takeover met in flight."""

    breaches: list[str]
    figures: dict[str, object] = field(factory=dict)
    in_flight: int = 0


@frozen
class _Strike:
    at: int
    what: What


def _strikes(run: Run, dice: Random) -> list[_Strike]:
    """Return what strikes after how many applied writes: stops in the first half, so that others go on meanwhile."""
    faults = run.faults
    shares: list[tuple[What, float]] = [
        *(("kill", dice.uniform(0.03, 0.93)) for _ in range(faults.kills)),
        *(("stop", dice.uniform(0.03, 0.5)) for _ in range(faults.stops)),
        *(("restart", dice.uniform(0.1, 0.8)) for _ in range(faults.restarts)),
    ]
    return sorted((_Strike(int(share * run.rows), what) for what, share in shares), key=lambda strike: strike.at)


class _Supervisor:
    """Strikes at the fleet while it works."""

    def __init__(self, run: Run, fleet: Fleet, postgres: PostgresServer, database: str, dice: Random) -> None:
        self.run = run
        self.fleet = fleet
        self.postgres = postgres
        self.database = database
        self.dice = dice
        self.struck: Counter[str] = Counter()

    def strike(self, what: str) -> bool:
        """Strike, if there is somebody to strike at now."""
        if what == "restart":
            self.postgres.restart()
        else:
            awake = [member for member in self.fleet.members if member.until is None]
            if len(awake) < 2:
                return False
            victim = self.dice.choice(awake)
            if what == "kill":
                self.fleet.kill(victim)
                self.fleet.start()
            else:
                self.fleet.signal(victim, signal.SIGSTOP)
                lease = lease_left(self.postgres, self.database)
                victim.until = time.monotonic() + lease + self.run.faults.stop_seconds
        self.struck[what] += 1
        return True

    def wake(self) -> None:
        """Continue who was stopped for long enough."""
        for member in self.fleet.members:
            if member.until is not None and time.monotonic() >= member.until:
                member.until = None
                self.fleet.signal(member, signal.SIGCONT)
                self.struck["continued"] += 1

    def someone_sleeps(self) -> bool:
        """Whether a worker is stopped."""
        return any(member.until is not None for member in self.fleet.members)


def supervise(
    run: Run,
    postgres: PostgresServer,
    database: str,
    folder: Path,
    make_fleet: Callable[[dict[str, str], Path], Fleet],
    report: Callable[[str], None] = print,
) -> Found:
    """Let workers work on a plan in an empty database, strike at them, and judge what they report.

    `make_fleet`: makes the workers' fleet from their environment and a folder for what they write.
    """
    dice = Random(run.seed)
    url = postgres.url_of(database)
    strikes = _strikes(run, dice)
    exchange = Exchange(
        folder / "applied.jsonl",
        *("--rows", str(run.rows), "--plan-seed", str(run.seed), "--seed", str(run.seed)),
        *("--lost", str(run.faults.lost), "--etags", run.etags),
        *(() if run.rate is None else ("--rate", str(run.rate))),
    )
    fleet: Fleet | None = None
    try:
        submit(url, run.name, run.rows, run.seed)
        environment = {
            "FIELDING_PLANS_URL": url,
            "FIELDING_BASE_URL": exchange.url,
            "FIELDING_TOKEN": "token-of-the-kill-run",
        }
        fleet = make_fleet(environment, folder)
        began = time.monotonic()
        supervisor = _Supervisor(run, fleet, postgres, database, dice)
        finished = _let_work(exchange, supervisor, strikes, report)
        took = time.monotonic() - began
        fleet.end()
        applied = exchange.applied()
    finally:
        if fleet is not None:
            fleet.close()
        exchange.close()
    gathered = gather(url, run.name, run.rows, run.seed, read_log(folder / "applied.jsonl"))
    found = Found(breaches(gathered.evidence), in_flight=len(gathered.taken_over))
    found.breaches += gathered.problems
    if not finished:
        found.breaches.append("the plan was not finished, or not every fault has struck")
    found.breaches += [f"worker {number} ended with status {status}" for number, status in fleet.ended if status]
    found.figures = {
        "rows": run.rows,
        "applied": applied,
        "seconds": round(took, 1),
        "rows a second": round(run.rows / took, 1),
        **{f"struck: {what}": count for what, count in sorted(supervisor.struck.items())},
        "started anew by itself": fleet.restarted,
        "in flight at a takeover": len(gathered.taken_over),
        "takeovers of them": sum(gathered.taken_over.values()),
        "epochs": gathered.epochs,
        **{f"ended: {effect}": count for effect, count in sorted(gathered.effects.items())},
        "unknown": f"{unknown_share(gathered.evidence):.3%}",
        "late knowledge": gathered.late,
    }
    return found


def _let_work(
    exchange: Exchange, supervisor: _Supervisor, strikes: list[_Strike], report: Callable[[str], None]
) -> bool:
    """Go on until the plan is finished, every strike has struck, and who was stopped has been continued."""
    run, fleet, left = supervisor.run, supervisor.fleet, list(strikes)
    for _ in range(run.workers):
        fleet.start()
    began = told = time.monotonic()
    settled_at: float | None = None
    while (now := time.monotonic()) - began < run.longest:
        time.sleep(_POLL)
        fleet.reap()
        supervisor.wake()
        applied = exchange.applied()
        if left and applied >= left[0].at and supervisor.strike(left[0].what):
            left.pop(0)
        if now - told > _TELL:
            told = now
            report(f"{now - began:6.0f} s: {applied} applied, {len(fleet.members)} workers, {len(left)} faults to come")
        if applied < run.rows * _NEARLY:
            if len(fleet.members) < run.workers:
                return False  # one has ended by itself
        elif shards_left(supervisor.postgres, supervisor.database) == 0 and not supervisor.someone_sleeps():
            settled_at = settled_at or now
            if now - settled_at > _SETTLE:
                return not left
    return False

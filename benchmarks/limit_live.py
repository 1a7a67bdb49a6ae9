"""The pace at a limit in real time: over sockets, server and clients in processes of their own."""

import statistics
from collections.abc import Sequence
from itertools import pairwise

from attrs import frozen

from benchmarks.limit_servers import KINDS, Arrival, Limit, ideal_seconds
from benchmarks.limited_server import limited
from benchmarks.live_clients import NAIVE, OURS, Done, Job, start_together
from benchmarks.report import Cell, Claim, Section, at_least, at_most

__all__ = ["run"]

_COLUMNS = ["requests", "server", "client", "failures", "sends", "429s", "seconds", "x ideal", "least share"]
_CLASSIC = 1.3
"""The most that 2,000 calls at 100 a second may take, in times of the ideal, on every kind of server."""
_SPEEDS = {"": False, ", half speed": True}
_CLASSICS = {kind: Limit.of(kind, 100.0) for kind in KINDS} | {
    "token-bucket of 10": Limit.of("token-bucket", 100.0, burst=10)
}


@frozen
class Played:
    """What came of a case."""

    done: list[Done]
    arrivals: list[Arrival]
    ideal: float

    @property
    def sends(self) -> int:
        """How many requests arrived."""
        return len(self.arrivals)

    @property
    def refused(self) -> int:
        """How many of them were refused."""
        return sum(arrival.retry_after is not None for arrival in self.arrivals)

    @property
    def failures(self) -> int:
        """How many calls failed."""
        return sum(done.failures for done in self.done)

    @property
    def seconds(self) -> float:
        """When the last client was done."""
        return max(sum(done.seconds) for done in self.done)

    @property
    def least_share(self) -> float:
        """What the least favoured client had of all that had passed when the first was served in full."""
        passed = [arrival for arrival in self.arrivals if arrival.retry_after is None]
        last = {arrival.client: arrival.at for arrival in passed}
        by_then = [arrival.client for arrival in passed if arrival.at <= min(last.values())]
        return min(by_then.count(client) for client in last) / len(by_then)


def _play(
    limit: Limit,
    requests: int,
    *,
    client: str = OURS,
    clients: int = 1,
    rate: float | None = None,
    slow_opening: bool = False,
    slowed: bool = False,
) -> Played:
    with limited(limit, slowed=slowed) as server:
        jobs = [
            Job(server.base_url, f"client-{number}", requests, rate, slow_opening=slow_opening, slowed=slowed)
            for number in range(clients)
        ]
        done = start_together(client, jobs)
        return Played(done, server.arrivals(), ideal_seconds(limit, requests * clients, 0.0))


def _free(requests: int, *, adaptive: bool) -> Done:
    with limited(Limit("fixed-window", ())) as server:
        return start_together(OURS, [Job(server.base_url, "client", requests, adaptive=adaptive, waves=2)])[0]


def _free_claims(rounds: int) -> tuple[list[Cell], list[Claim]]:
    """Compare the session that learns with one that does not, where there is no limit; they take turns."""
    name = "2,000 twice, no limit"
    plain: list[Done] = []
    careful: list[Done] = []
    for _ in range(rounds):
        plain.append(_free(2000, adaptive=False))
        careful.append(_free(2000, adaptive=True))
    cost = statistics.median(mine.seconds[0] - other.seconds[0] for mine, other in zip(careful, plain, strict=True))
    cpu = [
        statistics.median(mine.cpu[wave] / other.cpu[wave] for mine, other in zip(careful, plain, strict=True))
        for wave in (0, 1)
    ]
    seconds = statistics.median(sum(done.seconds) for done in careful)
    ratio = seconds / statistics.median(sum(done.seconds) for done in plain)
    failures = sum(done.failures for done in careful)
    return [name, "none", OURS, failures, 4000, 0, round(seconds, 1), round(ratio, 2), ""], [
        at_most(f"{name}: seconds that the careful opening costs", cost, 1.0),
        at_most(f"{name}: CPU of the first wave / without learning", cpu[0], 1.5),
        at_most(f"{name}: CPU of the second wave / without learning", cpu[1], 1.15),
    ]


def _row(name: str, server: str, client: str, played: Played) -> list[Cell]:
    share: Cell = played.least_share if len(played.done) > 1 else ""
    times: list[Cell] = [round(played.seconds, 1), round(played.seconds / played.ideal, 2)]
    return [name, server, client, played.failures, played.sends, played.refused, *times, share]


def most_in_a_second(times: Sequence[float]) -> int:
    """Return the most arrivals in any second. Takes sorted times."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def _spacing(name: str, played: Played, per_second: float) -> tuple[list[Claim], list[float]]:
    times = [arrival.at for arrival in played.arrivals]
    gaps = sorted(later - sooner for sooner, later in pairwise(times))
    most = most_in_a_second(times)
    tenth = statistics.quantiles(gaps, n=20)[0]
    return [
        at_most(f"{name}: requests in any second / rate known", most / per_second, 1.02),
        at_least(f"{name}: all but 5 % of the gaps / even spacing, at least", tenth * per_second, 0.75),
    ], gaps


def _median(played: Sequence[Played]) -> Played:
    """Return the play of median time."""
    return sorted(played, key=lambda one: one.seconds / one.ideal)[len(played) // 2]


def _classic_claims() -> tuple[list[list[Cell]], list[Claim], int]:
    """Play 2,000 calls at an unknown limit of 100/s on each kind of server, at full speed and at half; three times."""
    rows: list[list[Cell]] = []
    claims: list[Claim] = []
    failures = 0
    for kind, limit in _CLASSICS.items():
        for speed, slowed in _SPEEDS.items():
            played = [_play(limit, 2000, slowed=slowed) for _ in range(3)]
            failures += sum(one.failures for one in played)
            median, name = _median(played), f"2,000 at 100/s{speed}"
            rows.append(_row(name, kind, OURS, median))
            claims.append(at_most(f"{name}, {kind}: time / ideal", median.seconds / median.ideal, _CLASSIC))
            if kind == "fixed-window":
                claims.append(at_most(f"{name}, {kind}: sends", median.sends, 2100))
    return rows, claims, failures


def run(*, quick: bool = False) -> Section:
    """Play some of the cases of the section `limit` over sockets. `quick`: the short ones."""
    rows: list[list[Cell]] = []
    claims: list[Claim] = []
    data: dict[str, object] = {}
    cold = [("100 at 10/s", "fixed-window", 100, 10.0, 112, 1.4), ("100 at 10/s", "leaky-bucket", 100, 10.0, 112, 1.4)]
    failures = 0
    for name, kind, requests, per_second, sends, ratio in cold:
        limit = Limit.of("leaky-bucket" if kind == "leaky-bucket" else "fixed-window", per_second)
        played = _play(limit, requests)
        failures += played.failures
        rows.append(_row(name, kind, OURS, played))
        claims.append(at_most(f"{name}, {kind}: sends", played.sends, sends))
        claims.append(at_most(f"{name}, {kind}: time / ideal", played.seconds / played.ideal, ratio))
    if not quick:
        classic_rows, classic_claims, failed = _classic_claims()
        rows += classic_rows
        claims += classic_claims
        failures += failed
    limit = Limit.of("fixed-window", 10.0)
    rows.append(_row("100 at 10/s", "fixed-window", NAIVE, _play(limit, 100, client=NAIVE)))

    limit = Limit.of("fixed-window", 100.0)
    requests = 300 if quick else 1000
    for label, slow in (("known", False), ("known, slow connections", True)):
        played = _play(limit, requests, rate=100.0, slow_opening=slow)
        failures += played.failures
        name = f"{requests:,} at 100/s, {label}"
        rows.append(_row(name, "fixed-window", OURS, played))
        claims.append(at_most(f"{name}: 429s", played.refused, 1))
        claims.append(at_least(f"{name}: rate / rate known", requests / played.seconds / 100.0, 0.95))
        spacing, gaps = _spacing(name, played, 100.0)
        claims += spacing
        data[name] = {"gaps": [round(gap, 5) for gap in gaps[:: max(1, len(gaps) // 100)]]}

    requests = 200 if quick else 1000
    played = _play(limit, requests, clients=2)
    failures += played.failures
    name = f"two processes of {requests:,} share 100/s"
    rows.append(_row(name, "fixed-window", OURS, played))
    claims.append(at_most(f"{name}: time / ideal", played.seconds / played.ideal, 1.25))
    claims.append(at_least(f"{name}: least share", played.least_share, 1 / 3))

    row, free = _free_claims(1 if quick else 3)
    rows.append(row)
    claims += free
    claims.insert(0, at_most("failures, all cases", failures, 0))
    return Section(
        name="limit_live",
        title=(
            "The pace at a limit in real time, over sockets; server and clients in processes of their own. At half "
            "speed both spin for as long as they work. What is played three times is told by its median."
        ),
        columns=_COLUMNS,
        rows=rows,
        claims=claims,
        data=data,
    )

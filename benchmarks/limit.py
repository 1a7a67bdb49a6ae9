"""The pace of clients at a limit they do not know, on four kinds of server, in virtual time, beside an oracle's.

The table shows each client in the plain world of `limit_cases`; the claims are for the worst of its steady worlds.
"""

from collections.abc import Iterable, Sequence
from statistics import median

from attrs import asdict, evolve

from benchmarks.limit_cases import COLD, FALLS, KNOWN, SHAKY, SHARED, STEADY, Case, Result, World, play_case, play_free
from benchmarks.limit_clients import PEERS, Client, ours
from benchmarks.limit_servers import KINDS, Server
from benchmarks.report import Cell, Claim, Section, at_least, at_most
from fielding_async.sandbox.world.rate_limits import LimiterKind

__all__ = ["OURS", "run"]

OURS = "fielding-async"
TOLD = ", rate known"
_COLUMNS = ["requests", "server", "client", "failures", "sends", "429s", "seconds", "x ideal", "least share"]
_SENDS = {100: 112, 2000: 2100}
_RATIOS = {100: 1.5, 2000: 1.3}
_BIN = 1.0  # seconds of a bar in the plot of requests over time
_TIMELINE = (COLD[1], "leaky-bucket")

Table = dict[str, dict[str, dict[str, Result]]]  # by case, server and client


def _median(results: Sequence[Result]) -> Result:
    return sorted(results, key=lambda result: result.seconds)[len(results) // 2]


def _clients(case: Case) -> Iterable[tuple[str, Client, bool, int]]:
    """Yield each client that plays a case: its name, whether it is told the rate, and how often it throws its dice."""
    yield OURS, ours, False, 1
    if case.clients == 1:
        yield OURS + TOLD, ours, True, 1
    for name, (client, told) in PEERS.items():
        if case in COLD or name in {"naive sleep", "aiolimiter"}:
            yield name + TOLD * told, client, told, 3 if name == "backoff.expo" else 1


def _bins(server: Server) -> list[tuple[int, int]]:
    """Count what passed and what was refused in each stretch of time."""
    last = max(arrival.at for arrival in server.arrivals)
    found = [[0, 0] for _ in range(int(last / _BIN) + 1)]
    for arrival in server.arrivals:
        found[int(arrival.at / _BIN)][arrival.retry_after is not None] += 1
    return [(passed, refused) for passed, refused in found]


def _play_table(cases: Sequence[Case]) -> tuple[Table, dict[str, list[tuple[int, int]]]]:
    table: Table = {}
    timelines: dict[str, list[tuple[int, int]]] = {}
    for case in cases:
        for kind in KINDS:
            for name, client, told, throws in _clients(case):
                played = [
                    play_case(evolve(case, known=told), kind, World(seed=seed), client) for seed in range(1, throws + 1)
                ]
                table.setdefault(case.name, {}).setdefault(kind, {})[name] = _median([one for one, _ in played])
                if (case, kind) == _TIMELINE:
                    timelines[name] = _bins(played[0][1])
    return table, timelines


def _row(case: Case, kind: str, client: str, result: Result) -> list[Cell]:
    share: Cell = result.least_share if case.clients > 1 else ""
    times: list[Cell] = [round(result.seconds, 1), round(result.ratio, 2)]
    return [case.name, kind, client, result.failures, result.sends, result.refused, *times, share]


def _worst(case: Case, kind: LimiterKind, worlds: Sequence[World]) -> list[Result]:
    return [play_case(case, kind, world)[0] for world in worlds]


def _cold_claims(case: Case, kind: str, found: Sequence[Result]) -> list[Claim]:
    sends = max(result.sends for result in found)
    ratio = max(result.ratio for result in found)
    return [
        at_most(f"{case.name}, {kind}: sends", sends, _SENDS[case.requests]),
        at_most(f"{case.name}, {kind}: time / ideal", ratio, _RATIOS[case.requests]),
    ]


def _claims(case: Case, kind: str, found: Sequence[Result]) -> list[Claim]:
    ratio = max(result.ratio for result in found)
    if case in COLD:
        return _cold_claims(case, kind, found)
    if case == FALLS:
        return [at_most(f"{case.name}, {kind}: time / ideal", ratio, 1.5)]
    if case == KNOWN:
        rate = min(case.requests / result.seconds / case.per_second for result in found)
        return [
            at_most(f"{case.name}, {kind}: 429s", max(result.refused for result in found), 1),
            at_least(f"{case.name}, {kind}: rate / rate known", rate, 0.95),
        ]
    if kind != "fixed-window":
        return []
    return [
        at_most(f"{case.name}, {kind}: time / ideal", ratio, 1.25),
        at_least(f"{case.name}, {kind}: least share", min(result.least_share for result in found), 1 / 3),
    ]


def _free(requests: int) -> tuple[list[Cell], list[Claim], dict[str, object]]:
    plain, careful = play_free(requests, adaptive=False), play_free(requests, adaptive=True)
    name = f"{requests:,} twice, no limit"
    claims = [
        at_most(f"{name}: seconds that the careful opening costs", careful.first - plain.first, 1.0),
        at_most(f"{name}: the second wave / its time without learning", careful.second / plain.second, 1.02),
        at_most(f"{name}: rounds of the event loop per request", careful.rounds, 10.0),
    ]
    ratio = (careful.first + careful.second) / (plain.first + plain.second)
    row: list[Cell] = [name, "none", OURS, 0, 2 * requests, 0, careful.first + careful.second, ratio, ""]
    return row, claims, {"adaptive": asdict(careful), "not adaptive": asdict(plain)}


def run(*, quick: bool = False) -> Section:
    """Play all cases. `quick`: 100 requests only, and fewer worlds."""
    cases: tuple[Case, ...] = COLD[:1] if quick else (*COLD, FALLS, SHARED)
    table, timelines = _play_table(cases)
    rows = [
        _row(case, kind, client, result)
        for case in cases
        for kind, clients in table[case.name].items()
        for client, result in clients.items()
    ]
    steady, shaky = (STEADY[:2], SHAKY[:1]) if quick else (STEADY, SHAKY[:2])
    claims: list[Claim] = []
    unsteady: dict[str, dict[str, list[float]]] = {}
    calm: list[Result] = []
    shaken: list[Result] = []
    for case in (*cases, KNOWN):
        for kind in KINDS:
            found = _worst(case, kind, steady)
            calm += found
            claims += _claims(case, kind, found)
            if case in COLD:
                jittery = _worst(case, kind, shaky)
                shaken += jittery
                unsteady.setdefault(case.name, {})[kind] = [result.ratio for result in jittery]
                rows.append(_row(case, kind, f"{OURS}, network that jitters", max(jittery, key=lambda one: one.ratio)))
    free_row, free_claims, free = _free(2000)
    rows.append(free_row)
    claims += free_claims
    claims[:0] = [
        at_most("failures, all cases", sum(result.failures for result in calm), 0),
        at_most("failures, all cases, on networks that jitter", sum(result.failures for result in shaken), 0),
        at_most("requests before a Retry-After had passed", sum(result.early for result in calm + shaken), 0),
    ]
    return Section(
        name="limit",
        title=(
            "The pace at an unknown limit, in virtual time: all calls at once, 32 connections, replies in 20 ms, "
            "Retry-After in whole seconds. The ideal is an oracle's, which knows the server's state."
        ),
        columns=_COLUMNS,
        rows=rows,
        claims=claims,
        data={
            "table": {
                case: {
                    kind: {client: asdict(result) | {"ratio": result.ratio} for client, result in clients.items()}
                    for kind, clients in kinds.items()
                }
                for case, kinds in table.items()
            },
            "timeline": {"case": _TIMELINE[0].name, "server": _TIMELINE[1], "bin": _BIN, "clients": timelines},
            "jitter": {
                case: {kind: median(ratios) for kind, ratios in kinds.items()} for case, kinds in unsteady.items()
            },
            "free": free,
        },
    )

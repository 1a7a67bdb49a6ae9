"""Worlds like those of real programs on one machine: nginx, HAProxy, and four processes that share a limit.

`tests.proofs.gateways` and the benchmarks have the programs themselves; here a search can play them. None writes a
Retry-After of its own.
"""

from attrs import frozen

from .cost import percentile
from .demand import Demand
from .oracle import consult
from .play import MakePacer, play
from .weather import Network
from .worlds import ServerSpec, World

__all__ = ["GATEWAYS", "SHARED", "Gateway", "Shared", "play_gateway", "play_shared"]

# the server, its calls (all at once), and the most time against the oracle's
GATEWAYS: dict[str, tuple[ServerSpec, int, float]] = {
    "nginx 10/s, burst 2 nodelay": (ServerSpec("nginx nodelay", 10.0, "absent", burst=2), 100, 1.4),
    "nginx 100/s, burst 20 nodelay": (ServerSpec("nginx nodelay", 100.0, "absent", burst=20), 1000, 1.35),
    "nginx 10/s, no burst": (ServerSpec("nginx nodelay", 10.0, "absent", burst=0), 100, 1.5),
    "nginx 100/s, no burst": (ServerSpec("nginx nodelay", 100.0, "absent", burst=0), 1000, 1.5),
    "nginx 100/s, burst 20 with delay": (ServerSpec("nginx delay", 100.0, "absent", burst=20), 1000, 1.5),
    "HAProxy 10/s": (ServerSpec("counts refused", 10.0, "absent"), 100, 1.8),
    "HAProxy 100/s": (ServerSpec("counts refused", 100.0, "absent"), 1000, 1.35),
}
SHARED = ServerSpec("sliding log", 20.0)
_LOAD = 0.7
_PROCESSES = 4


@frozen
class Gateway:
    """The median of several seeds. `ratio`: seconds against the oracle's."""

    name: str
    ratio: float
    bound: float
    sends: int
    failed: int


@frozen
class Shared:
    """Four processes on one limit at a load of 0.7. `added_p99`: seconds beyond the oracle's, in the worst process."""

    added_p99: float
    failed: int
    calls: int


def play_gateway(make_pacer: MakePacer, name: str, seeds: int = 5) -> Gateway:
    """Play one of `GATEWAYS`."""
    server, calls, bound = GATEWAYS[name]
    found: list[tuple[float, int, int]] = []
    for seed in range(seeds):
        network = Network(round_trip=0.002, jitter=0.0005)
        world = World(seed, server, Demand("at once", calls, server.rate), network)
        played = play(world, make_pacer)
        found.append((played.makespan / consult(world).makespan, played.sends, len(played.errors)))
    ratio, sends, _ = sorted(found)[seeds // 2]
    return Gateway(name, ratio, bound, sends, max(failed for _, _, failed in found))


def play_shared(make_pacer: MakePacer, seeds: int = 5) -> Shared:
    """Play four processes of one session each, a minute long; calls come at random."""
    worst, failed, calls = 0.0, 0, 0
    for seed in range(seeds):
        rate = SHARED.rate * _LOAD
        demand = Demand("below", int(rate * 60) // _PROCESSES * _PROCESSES, rate, sessions=_PROCESSES)
        world = World(seed, SHARED, demand, Network(round_trip=0.002, jitter=0.0005))
        played, ideal = play(world, make_pacer), consult(world)
        failed += len(played.errors)
        calls += played.calls
        added = [end - ends for end, ends in zip(played.ends, ideal.ends, strict=True)]
        share = len(added) // _PROCESSES
        for process in range(_PROCESSES):
            worst = max(worst, percentile(added[process * share : (process + 1) * share], 0.99))
    return Shared(worst, failed, calls)

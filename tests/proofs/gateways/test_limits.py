"""The limits of nginx and HAProxy: every call ends well, once, and what the gateways let pass is what their models say.

`python -m benchmarks gateway_limits` measures how long it takes beside the models' ideal; here nothing is timed.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

import pytest
from attrs import evolve, frozen

from benchmarks.server import serving
from fielding_async import FieldingRun, FieldingSession, Limits, Retry, RunRef, ServerError
from tests.tools.sessions import TOKEN

from .limit_models import HaproxyRate, NginxRate, oracle_seconds
from .limited_gateways import Arrival, GatewayLimit, haproxy_limit, limited_gateway, nginx_limit
from .marks import needs
from .programs import missing

pytestmark = [pytest.mark.slow, pytest.mark.once]

LIMITS = {
    "nginx": nginx_limit(50),
    "nginx, Retry-After": nginx_limit(50, retry_after=1),
    "nginx, burst nodelay": nginx_limit(20, burst=10),
    "nginx, burst nodelay, Retry-After": nginx_limit(20, burst=10, retry_after=1),
    "nginx, burst delayed": nginx_limit(50, burst=10, delay=True),
    "nginx, burst delayed, Retry-After": nginx_limit(50, burst=10, delay=True, retry_after=1),
    "nginx, 503": nginx_limit(50, status=503),
    "nginx, 503, Retry-After": nginx_limit(50, status=503, retry_after=1),
    "HAProxy, 1 s": haproxy_limit(20),
    "HAProxy, 1 s, Retry-After": haproxy_limit(20, retry_after=1),
    "HAProxy, 3 s, Retry-After": haproxy_limit(30, 3, retry_after=1),
}
REFUSES_BY_429 = [name for name, limit in LIMITS.items() if limit.status == 429]
REFUSES_BY_503 = [name for name, limit in LIMITS.items() if limit.status == 503]
CALLS = 40
ATTEMPTS = 2
"""How often a call meets a 503 before it fails: 429s are not counted."""
BLUR = 2
"""Milliseconds by which a time in a log may differ from that which the gateway counted with: both are rounded."""


@frozen
class Played:
    """What came of the calls, by run id, and what the gateway's log says of them."""

    ended: Mapping[str, FieldingRun | BaseException]
    arrivals: Sequence[Arrival]

    def tally(self, *, passed: bool) -> Counter[str]:
        """Return how often each run was asked for, by what was let through or by what was refused."""
        return Counter(run_of(arrival) for arrival in self.arrivals if arrival.passed == passed)


def run_of(arrival: Arrival) -> str:
    """Return the id of the run that a request asked for."""
    return arrival.path.rpartition("/")[2]


async def play(limit: GatewayLimit, origin: int) -> Played:
    """Get so many runs at once through a gateway."""
    async with (
        limited_gateway(limit, origin) as gateway,
        FieldingSession(TOKEN, base_url=gateway.base_url, retry=Retry(max_attempts=ATTEMPTS, base=0.1)) as fielding,
    ):
        ids = [f"r{number}" for number in range(CALLS)]
        gets = (fielding.run(RunRef(1, "0" * 26, "1" * 26, run)).get() for run in ids)
        ended = await asyncio.gather(*gets, return_exceptions=True)
    return Played(dict(zip(ids, ended, strict=True)), gateway.arrivals)


async def play_all() -> dict[str, Played]:
    """Play every limit whose program is installed, side by side."""
    limits = {name: limit for name, limit in LIMITS.items() if not missing(limit.program)}
    with serving() as base_url:
        origin = urlsplit(base_url).port or 0
        played = await asyncio.gather(*(play(limit, origin) for limit in limits.values()))
    return dict(zip(limits, played, strict=True))


@pytest.fixture(scope="module")
def all_played() -> dict[str, Played]:
    """Return what came of every limit: most of the time is spent waiting."""
    return asyncio.run(play_all())


def named(names: Iterable[str]) -> pytest.MarkDecorator:
    """Return the parameters for these limits, skipped where a program is absent."""
    return pytest.mark.parametrize("name", [pytest.param(name, marks=needs(LIMITS[name].program)) for name in names])


def differences(limit: GatewayLimit, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Return the requests that the model of a limit would have judged otherwise."""
    return (_from_haproxy if limit.program == "haproxy" else _from_nginx)(limit, arrivals)


def _from_haproxy(limit: GatewayLimit, arrivals: Sequence[Arrival]) -> list[Arrival]:
    model = HaproxyRate(limit.number, limit.period)
    found: list[Arrival] = []
    # a request is counted before it is judged: within a millisecond the rate tells the order
    for arrival in sorted(arrivals, key=lambda arrival: (arrival.at, arrival.rate)):
        model.hit(arrival.at)
        assert arrival.rate is not None
        if abs(model.rate(arrival.at) - arrival.rate) > 1 or arrival.passed != (arrival.rate <= limit.number):
            found.append(arrival)
    return found


def _from_nginx(limit: GatewayLimit, arrivals: Sequence[Arrival]) -> list[Arrival]:
    model = NginxRate(limit.number, limit.burst, limit.delay)
    found: list[Arrival] = []
    # a refusal leaves no trace: what passed at about the same time may have come first
    for arrival in sorted(arrivals, key=lambda arrival: arrival.at + (0 if arrival.passed else BLUR)):
        if arrival.passed:
            early = model.wait(arrival.at)
            passes = early <= BLUR and model.hit(arrival.at + early)
            if not passes or arrival.ended - arrival.at < model.held() - BLUR:
                found.append(arrival)
        elif not model.wait(arrival.at - BLUR):
            found.append(arrival)
    return found


@named(REFUSES_BY_429)
def test_calls_at_the_limit_of_a_gateway_end_well(name: str, all_played: Mapping[str, Played]) -> None:
    """No call fails, each is let through exactly once, and what is refused is what is in flight, three times."""
    played = all_played[name]
    assert [end for end in played.ended.values() if isinstance(end, BaseException)] == []
    assert played.tally(passed=True) == dict.fromkeys(played.ended, 1)
    assert played.tally(passed=False).total() <= 3 * Limits().concurrency


@named(REFUSES_BY_503)
def test_a_503_of_a_limit_uses_up_attempts(name: str, all_played: Mapping[str, Played]) -> None:
    """A call ends well once it is let through, or fails by the 503 of its last attempt, and was let through never."""
    played = all_played[name]
    passed, refused = played.tally(passed=True), played.tally(passed=False)
    for run, end in played.ended.items():
        if isinstance(end, BaseException):
            assert isinstance(end, ServerError)
            assert end.status == 503
            assert (passed[run], refused[run]) == (0, ATTEMPTS)
        else:
            assert passed[run] == 1
            assert refused[run] < ATTEMPTS


@named(LIMITS)
def test_a_model_counts_as_the_gateway_does(name: str, all_played: Mapping[str, Played]) -> None:
    """What passed, what was refused and what was held is what the model says at the times of the gateway's own log.

    So the oracle's time is that of the real limit: nothing was served sooner.
    """
    limit, arrivals = LIMITS[name], all_played[name].arrivals
    assert differences(limit, arrivals) == []
    passed = [arrival for arrival in arrivals if arrival.passed]
    took = max(arrival.ended for arrival in passed) - min(arrival.at for arrival in passed)
    assert took >= 1000 * oracle_seconds(limit.counter(), len(passed)) - BLUR


def _surely_passed(arrivals: Sequence[Arrival]) -> int:
    """Return the place of a request that any model lets through.

    That is the one with the lowest rate in HAProxy's log. That of nginx has only milliseconds, in which several
    requests come; there it is the one that passed with the longest time before it.
    """
    if arrivals[0].rate is not None:
        return min(range(len(arrivals)), key=lambda number: arrivals[number].rate or 0)
    gaps = [later.at - arrival.at for arrival, later in pairwise(arrivals)]
    return max((gap, number) for number, gap in enumerate(gaps, 1) if arrivals[number].passed)[1]


@named(LIMITS)
def test_a_model_that_is_wrong_would_be_found(name: str, all_played: Mapping[str, Played]) -> None:
    """The comparison finds a log in which something passed that was refused, or the other way round."""
    limit, arrivals = LIMITS[name], all_played[name].arrivals
    first = _surely_passed(arrivals)
    everything = [evolve(arrival, passed=True) for arrival in arrivals]
    all_but_the_first = [*arrivals[:first], evolve(arrivals[first], passed=False), *arrivals[first + 1 :]]
    assert differences(limit, all_but_the_first)
    assert differences(limit, everything) or everything == arrivals


@named(["nginx", "HAProxy, 3 s, Retry-After"])
def test_the_limits_were_met(name: str, all_played: Mapping[str, Played]) -> None:
    """Calls that come at once are too many for one limit of each program, on whatever machine."""
    assert all_played[name].tally(passed=False)


def test_the_ideal_times_of_the_models() -> None:
    """The oracle's times are those of the formulas in the manuals."""
    assert oracle_seconds(NginxRate(10), 100) == pytest.approx(9.9)
    assert oracle_seconds(NginxRate(10, burst=2), 100) == pytest.approx(9.7)
    assert oracle_seconds(NginxRate(100, burst=20), 1000) == pytest.approx(9.79)
    assert oracle_seconds(NginxRate(10, burst=5, delay=True), 100) == pytest.approx(9.9)
    assert oracle_seconds(HaproxyRate(10, 1000), 10) == 0
    assert oracle_seconds(HaproxyRate(10, 1000), 100) == pytest.approx(9.9, abs=0.002)
    assert oracle_seconds(HaproxyRate(100, 10_000), 300) == pytest.approx(29.9, abs=0.002)

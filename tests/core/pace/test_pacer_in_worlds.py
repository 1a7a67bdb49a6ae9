"""The pacer finds the pace that an unknown limit allows: bounds on time, sends and refusals, beside an oracle's."""

import random
from collections import deque
from math import ceil, inf

import pytest
from attrs import define

from fielding_async import Limits
from fielding_async.core.pace.pacer import Pacer, Permit
from fielding_async.sandbox.world.rate_limits import LimiterKind

from .world import KINDS, Changing, Client, Free, RetryAfter, Server, ideal, limited, play, whole_seconds

pytestmark = [pytest.mark.slow, pytest.mark.once]

PHASES = [number / 10 for number in range(10)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("requests", "rate", "sends", "ratio"), [(100, 10, 120, 1.5), (2000, 100, 2110, 1.35)])
def test_an_unknown_limit_is_found_from_a_cold_start(
    kind: LimiterKind, requests: int, rate: int, sends: int, ratio: float
) -> None:
    """Wherever in a window it begins: few refusals, little time lost, and no request before a Retry-After is over."""
    for phase in PHASES:
        for round_trip in (0.005, 0.02):
            client = play(limited(kind, rate, phase=phase), requests, round_trip=round_trip)[0]
            assert client.done == requests
            assert client.sends <= sends
            assert client.too_early == 0
            assert client.ended <= ratio * (ideal(limited(kind, rate, phase=phase), requests) + round_trip)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [1, 2, 3, 5, 8, 12, 20, 33, 50, 75, 150, 250, 350, 500])
def test_limits_from_1_to_500_a_second_are_found(kind: LimiterKind, rate: int) -> None:
    """Requests for 20 s take 1.35 times an oracle's time at most, and a second; at a slow spacing 2.3 times."""
    requests = max(40, 20 * rate)
    most = 2.3 if kind == "leaky-bucket" and rate <= 12 else 1.35
    client = play(limited(kind, rate, phase=0.37), requests)[0]
    assert client.ended <= most * ideal(limited(kind, rate, phase=0.37), requests) + 1
    assert client.sends <= 1.05 * requests + 30
    assert client.too_early == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "after"), [(100, 30), (10, 3), (100, 10), (500, 20)])
def test_a_limit_that_falls_half_way_is_followed(kind: LimiterKind, before: int, after: int) -> None:
    """The pace comes down to the new limit: in 1.4 times an oracle's time, in 1.9 times where spacing is limited."""
    ratio = 1.9 if kind == "leaky-bucket" else 1.4
    requests = 20 * before
    half = ideal(limited(kind, before, phase=0.37), requests // 2)

    def server() -> Changing:
        return Changing(limited(kind, before, phase=0.37), limited(kind, after, phase=0.37), half)

    client = play(server(), requests)[0]
    assert client.ended <= ratio * ideal(server(), requests)


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_that_rises_is_found_again(kind: LimiterKind) -> None:
    """A pace learned at 30 a second is past 60 within three minutes after the limit rose to 200."""
    server = Changing(limited(kind, 30), limited(kind, 200), 30.0)
    client = play(server, 100_000, until=210.0)[0]
    assert sum(1 for at in client.accepted if 200 <= at < 210) > 600


def test_without_a_limit_the_opening_costs_less_than_a_second_once() -> None:
    """A burst of thousands starts with care, is at full speed within a second, and a second burst loses nothing."""
    for round_trip in (0.002, 0.02, 0.1):
        client = play(Free(), 6000, round_trip=round_trip)[0]
        assert client.ended - 6000 / 32 * round_trip < 1.0
        assert client.times[7] > 0.0  # six at once and one by the pace, the others with care
        opened = sum(1 for at in client.times if at < 1.0)
        after = [at for at in client.times if at >= 1.0]
        full = play(Free(), 6000 - opened, round_trip=round_trip, limits=Limits(adaptive=False))[0]
        assert not after or client.ended - after[0] <= full.ended + round_trip


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_of_saying_when_is_obeyed(kind: LimiterKind) -> None:
    """Exact decimals, whole seconds, a date rounded up, far too long, or nothing at all: all requests pass."""
    forms: list[RetryAfter] = [
        lambda wait: wait,
        whole_seconds,
        lambda wait: ceil(wait) + 0.5,
        lambda _wait: 5.0,
        lambda _wait: None,
    ]
    for form in forms:
        client = play(limited(kind, 50, phase=0.37), 500, retry_after=form)[0]
        assert client.done == 500
        assert client.too_early == 0
        assert client.ended < 60
        assert client.sends < 600 or form is forms[0]  # the exact time allows one request, and others go with it


def test_windows_of_a_minute_are_waited_out() -> None:
    """Where a refusal is answered with a long Retry-After, the pace is that of the whole window, not of its start."""
    for kind in ("fixed-window", "sliding-window"):
        client = play(limited(kind, 5, phase=0.37, window=60.0), 1500)[0]
        assert client.ended <= 1.4 * ideal(limited(kind, 5, phase=0.37, window=60.0), 1500)
        assert client.refused < 35 * 6


@pytest.mark.parametrize("kind", ["fixed-window", "sliding-window", "token-bucket"])
@pytest.mark.parametrize("clients", [2, 4])
def test_sessions_share_a_limit_they_do_not_know(kind: LimiterKind, clients: int) -> None:
    """All finish within 1.5 times an oracle's time (a token bucket: 2 times); each had a third of an even part."""
    most = 1.5 if kind != "token-bucket" else 2.0
    for seed in range(5):
        server = limited(kind, 100, phase=seed / 5)
        found = play(server, 2000 // clients, clients=clients, jitter=0.002, seed=seed)
        assert max(client.ended for client in found) <= most * ideal(limited(kind, 100, phase=seed / 5), 2000)
        first = min(client.ended for client in found)
        shares = [sum(1 for at in client.accepted if at <= first) for client in found]
        assert min(shares) / sum(shares) > 1 / 3 / clients


def even_share(found: list[Client]) -> float:
    """Return what the least favoured had while all were at work, beside an even share."""
    begin, end = max(client.began for client in found), min(client.ended for client in found)
    shares = [sum(1 for at in client.accepted if begin <= at <= end) for client in found]
    return min(shares) * len(shares) / sum(shares)


@pytest.mark.parametrize(("kind", "least"), [("fixed-window", 0.2), ("sliding-window", 0.2), ("token-bucket", 0.2)])
def test_sessions_that_do_not_begin_together_all_have_a_part(kind: LimiterKind, least: float) -> None:
    """Two sessions that start up to 0.3 s apart each get more than a fifth of an even part."""
    for seed in range(20):
        dice = random.Random(seed)
        starts = [0.0, dice.uniform(0.01, 0.3)]
        server = limited(kind, 100, phase=dice.random())
        found = play(server, 1000, clients=2, starts=starts, jitter=0.001, round_trip=0.01, seed=seed)
        assert even_share(found) > least
        assert max(client.ended for client in found) < 2.1 * 20


@pytest.mark.parametrize(("kind", "least"), [("fixed-window", 0.4), ("sliding-window", 0.4)])
def test_a_session_that_comes_later_gets_its_part(kind: LimiterKind, least: float) -> None:
    """A session that starts 5 to 7 s after another one, and the other one, each get more than 0.4 of an even part."""
    for seed in range(20):
        dice = random.Random(seed)
        server = limited(kind, 100, phase=dice.random())
        starts = [0.0, dice.uniform(5.0, 7.0)]
        found = play(server, 1500, clients=2, starts=starts, jitter=0.001, round_trip=0.01, seed=seed)
        assert even_share(found) > least


@pytest.mark.parametrize("kind", ["fixed-window", "sliding-window"])
def test_of_four_sessions_none_starves(kind: LimiterKind) -> None:
    """Each of four sessions gets more than an eighth of an even part."""
    for seed in range(10):
        dice = random.Random(seed)
        starts = [0.0, *(dice.uniform(0.0, 0.3) for _ in range(3))]
        server = limited(kind, 100, phase=dice.random())
        found = play(server, 1000, clients=4, starts=starts, jitter=0.001, round_trip=0.01, seed=seed)
        assert even_share(found) > 0.125


def test_a_stray_429_costs_its_pause_and_little_more() -> None:
    """With one refusal among them and no limit, ten thousand requests are over within 50 s."""

    class Stray(Free):
        def __init__(self, number: int) -> None:
            self.number = number
            self.seen = 0

        def hit(self, at: float) -> float | None:
            self.seen += 1
            return 1.0 if self.seen == self.number else super().hit(at)

    for number in (1, 2, 5, 50, 2000):
        client = play(Stray(number), 10_000)[0]
        assert client.refused == 1
        assert client.ended < 50


def test_idle_time_earns_no_burst() -> None:
    """After an hour of one request now and then, the thousand that come at once start with care all the same."""
    pacer = Pacer(Limits(), lambda low, _high: low)
    now = 0.0
    for _ in range(10):
        ticket = pacer.take(now)
        pacer.answered(ticket, now + 0.02)
        now += 360.0
    taken = 0
    while pacer.ready_at() <= now and taken < 50:
        pacer.take(now, waited=True)
        taken += 1
    assert taken <= 7


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_rate_is_kept_and_not_passed(kind: LimiterKind) -> None:
    """At the very rate of the limit: at most one 429 in a thousand requests, and at least 0.95 of the rate."""
    for phase in PHASES:
        client = play(limited(kind, 100, phase=phase), 1000, limits=Limits(rate=100))[0]
        assert client.refused <= 1
        assert client.ended <= 1000 / 100 / 0.95


@pytest.mark.parametrize("kind", ["fixed-window", "sliding-window", "token-bucket"])
def test_a_known_rate_has_room_for_jitter(kind: LimiterKind) -> None:
    """Requests that arrive a few milliseconds early or late still keep to the configured rate: none is refused."""
    for phase in PHASES:
        client = play(limited(kind, 100, phase=phase), 1000, limits=Limits(rate=100), jitter=0.005)[0]
        assert client.refused == 0
        assert client.ended <= 1000 / 100 / 0.95


def test_a_rate_configured_too_high_settles_a_little_below() -> None:
    """Where the network jitters, a configured rate that is refused again and again is lowered a little."""
    client = play(limited("leaky-bucket", 100), 1000, limits=Limits(rate=100), jitter=0.0005)[0]
    assert client.done == 1000
    assert client.refused < 20
    assert client.ended < 60


@pytest.mark.parametrize("kind", KINDS)
def test_a_configured_rate_that_is_far_off_is_lowered_and_raised_again(kind: LimiterKind) -> None:
    """If the limit falls far below the configured rate, the pace follows; when it rises again, the pace returns."""

    def server() -> Changing:
        falls = Changing(limited(kind, 110), limited(kind, 30), 10.0)
        return Changing(falls, limited(kind, 110), 60.0)

    client = play(server(), 100_000, limits=Limits(rate=100), until=400.0)[0]
    assert client.refused < 120
    assert sum(1 for at in client.accepted if 30 <= at < 60) > 0.5 * 30 * 30
    assert sum(1 for at in client.accepted if 390 <= at < 400) > 900


def test_a_server_that_refuses_everything_meets_ever_fewer_requests() -> None:
    """A minute of nothing but 429s takes less than three requests a second."""

    class Closed:
        def hit(self, at: float) -> float | None:
            del at
            return 1.0

    client = play(Closed(), 10_000, until=60.0)[0]
    assert client.done == 0
    assert client.ended == inf
    assert client.sends < 180


@pytest.mark.parametrize(("gap", "retry_after"), [(0.4, 1.0), (0.4, 2.0), (5.0, 1.0), (5.0, 2.0), (5.0, 30.0)])
def test_a_refusal_at_light_load_does_not_slow_the_next_burst_down(gap: float, retry_after: float) -> None:
    """No pace is learned from a 429 at light load: fifty requests at once after it take less than 5 s.

    That holds also if little is sent for an hour after it.
    """
    pacer = Pacer(Limits(), random.Random(1).uniform)
    now = 0.0

    def request(*, refuse: float | None = None) -> None:
        nonlocal now
        at = max(now, pacer.ready_at())
        permit = pacer.take(at, waited=at > now)
        pacer.left(permit, at)
        now = at + 0.01
        if refuse is None:
            pacer.answered(permit, now)
        else:
            pacer.throttled(permit, refuse, now)

    for _ in range(3):  # it may happen again
        for _ in range(200):
            request()
        for _ in range(20):
            now += gap
            request()
        now += gap
        request(refuse=retry_after)
        for _ in range(700):
            now += gap
            request()
        began = now = now + 60
        for _ in range(50):
            request()
        assert now - began < 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("retry_after", [2.0, 3.0, 30.0])
def test_a_refusal_of_the_very_first_request_costs_little_more_than_its_pause(
    kind: LimiterKind, retry_after: float
) -> None:
    """A session that starts while others have used the limit up waits, and then finds the pace as from a cold start."""

    @define
    class Taken:
        server: Server
        refused: int = 0

        def hit(self, at: float) -> float | None:
            if not self.refused:
                self.refused = 1
                return retry_after
            return self.server.hit(at)

    client = play(Taken(limited(kind, 100)), 500)[0]
    from_cold = play(limited(kind, 100), 500)[0]
    assert client.done == 500
    assert client.ended < retry_after + 1.5 * from_cold.ended


def test_a_first_refusal_before_any_answer_leaves_a_pace() -> None:
    """After a first refusal before any answer, a second request may be sent within 2 s after the pause."""
    pacer = Pacer(Limits(), lambda low, _high: low)
    pacer.take(0.0)
    late = pacer.take(1.2)
    pacer.throttled(late, 0.5, 1.25)
    assert pacer.ready_at() == 1.75
    pacer.take(1.75, waited=True)
    assert pacer.ready_at() <= 1.75 + 2.0


def test_in_the_opening_six_requests_leave_whatever_the_pace() -> None:
    """A request that follows the slow pace of the start does not hold those that need not follow it."""
    pacer = Pacer(Limits(), lambda low, _high: low)
    first = [pacer.take(0.0) for _ in range(7)]
    for permit in first:
        pacer.left(permit, 0.05)
    for permit in first[:6]:
        pacer.answered(permit, 0.1)
    following = [pacer.try_take(0.1, waited=True) for _ in range(5)]
    assert all(isinstance(permit, Permit) and pacer.leaves_at(permit, 0.1) == -inf for permit in following)


@pytest.mark.parametrize(("limits", "most"), [(Limits(), 100), (Limits(rate=100.0), 600)])
def test_pauses_shorter_than_the_round_trip_grow_if_everything_is_refused(limits: Limits, most: int) -> None:
    """Where requests overlap, those that were permitted after the pause of a burst make the next one."""
    pacer = Pacer(limits, lambda low, _high: low)
    now, sent = 0.0, 0
    under_way: deque[tuple[float, Permit]] = deque()
    while now < 30.0:
        ready = pacer.ready_at() if len(under_way) < 32 else inf
        if under_way and under_way[0][0] <= max(ready, now):
            now, permit = under_way.popleft()
            pacer.throttled(permit, 0.05, now)
        else:
            now = max(now, ready)
            permit = pacer.take(now, waited=True)
            pacer.left(permit, now)
            under_way.append((now + 0.5, permit))
            sent += 1
    assert sent < most
    assert pacer.pauses_in_a_row > 20


def late_refusals(limits: Limits, retry_after: float | None) -> tuple[Pacer, list[float]]:
    """Send 32 requests at once, which are all refused one by one, later than the pause of the first has passed.

    Returns the pacer after the last, and the ends of the pauses that it knew.
    """
    pacer = Pacer(limits, lambda _low, high: high)
    permits = [pacer.take(0.0) for _ in range(32)]
    for permit in permits:
        pacer.left(permit, 0.0)
    ends: list[float] = []
    for number, permit in enumerate(permits):
        pacer.throttled(permit, retry_after, 0.2 + number / 4)
        ends.append(pacer.paused_until)
    return pacer, ends


def test_late_refusals_of_one_burst_do_not_make_pauses_longer() -> None:
    """Where a pause is shorter than the round trip, each Retry-After is obeyed as it is, and no request probes."""
    pacer, ends = late_refusals(Limits(), 0.05)
    assert ends == [pytest.approx(0.25 + number / 4) for number in range(32)]
    assert pacer.pauses_in_a_row == 1
    pacer.take(ends[-1], waited=True)
    assert pacer.ready_at() < inf  # no probe


def test_late_refusals_of_one_burst_without_retry_after_make_no_growing_pauses() -> None:
    """The wait without a Retry-After grows with each burst that is refused, not with each request of one."""
    _, ends = late_refusals(Limits(), None)
    assert ends == [pytest.approx(0.4 + number / 4) for number in range(32)]


def test_late_refusals_of_one_burst_lower_a_configured_rate_once() -> None:
    """They tell of the same requests as the first one did."""
    once, many = Pacer(Limits(rate=100.0), lambda low, _high: low), late_refusals(Limits(rate=100.0), 0.05)[0]
    once.throttled(once.take(0.0), 0.05, 0.2)
    assert many.interval == once.interval

"""What single gateways do to an action: cached GETs, 504s, rewritten ETags, copies, pages of their own."""

from pathlib import Path

import pytest

from fielding_async import FieldingError, Outcome, OutcomeUnknownError, Retry, ServerError
from fielding_async.sandbox import Behaviour, Cut, Hold, Status
from tests.tools.sessions import END, applied, longer, sent

from .behind import behind
from .cases import Gateway, reverse
from .configs import apache, haproxy, nginx, squid_accelerator
from .marks import needs
from .programs import free_port

pytestmark = [pytest.mark.slow, pytest.mark.once]

TWICE = Retry(max_attempts=2, base=0.001, cap=0.01, conflict_base=0.001)

SQUID = reverse(lambda ports: squid_accelerator(ports[0]))
SQUID_DEAF = reverse(lambda ports: squid_accelerator(ports[0], heeds_no_cache=False))
NGINX_CACHE = reverse(lambda ports: nginx(ports, cache=True, heeds_no_cache=True))
NGINX_DEAF = reverse(lambda ports: nginx(ports, cache=True))

CACHES = [
    pytest.param(SQUID, marks=needs("squid"), id="squid"),
    pytest.param(NGINX_CACHE, marks=needs("nginx"), id="nginx"),
]
DEAF = pytest.param(NGINX_DEAF, marks=needs("nginx"), id="nginx that heeds no Cache-Control")
REVERSE = [
    pytest.param(reverse(nginx), marks=needs("nginx"), id="nginx"),
    pytest.param(reverse(haproxy), marks=needs("haproxy"), id="HAProxy"),
    pytest.param(SQUID, marks=needs("squid"), id="squid"),
    pytest.param(reverse(lambda ports: apache(ports[0])), marks=needs("apache2"), id="Apache"),
]


# -- caches


@pytest.mark.parametrize("gateway", CACHES)
async def test_a_cached_state_is_not_taken_for_the_present(gateway: Gateway, tmp_path: Path) -> None:
    """The cache holds "paused", a colleague has resumed: a cold pause is sent, and applied."""
    async with behind(gateway, tmp_path) as gate:
        ref = gate.sandbox.add_run("paused")
        await gate.cached(ref)
        gate.sandbox.touch(ref, status="live")
        async with gate.session() as fielding:
            outcome = await fielding.run(ref).pause()
        assert outcome.effect == "accepted"
        assert gate.sandbox.inspect(ref).status == "paused"
        assert applied(gate.sandbox) == ["pause"]


@pytest.mark.parametrize("gateway", CACHES)
async def test_a_lost_pause_is_not_judged_by_a_cached_state(gateway: Gateway, tmp_path: Path) -> None:
    """A pause is applied and both its answers are 504s; the cache holds "live": it is not told as a failure."""
    async with behind(gateway, tmp_path) as gate:
        ref = gate.sandbox.add_run("live")
        await gate.cached(ref)
        gate.sandbox.script(Status(504, applied=True), Status(504), on="pause")
        async with gate.session(retry=TWICE) as fielding:
            outcome = await fielding.run(ref).pause()
        assert outcome.effect == "unconfirmed"
        assert applied(gate.sandbox) == ["pause"]


@pytest.mark.parametrize("gateway", [*CACHES, DEAF])
@pytest.mark.parametrize("status", [502, 504])
async def test_an_answer_that_means_lost_is_never_a_failure(gateway: Gateway, status: int, tmp_path: Path) -> None:
    """A pause is applied, answered by 502 or 504 until attempts are used up, and every look may be cached."""
    async with behind(gateway, tmp_path) as gate:
        ref = gate.sandbox.add_run("live")
        await gate.cached(ref)
        gate.sandbox.script(Status(status, applied=True), Status(status), on="pause")
        async with gate.session(retry=TWICE) as fielding:
            told: Outcome | OutcomeUnknownError
            try:
                told = await fielding.run(ref).pause()
            except OutcomeUnknownError as error:
                told = error
        assert isinstance(told, OutcomeUnknownError) or told.effect == "unconfirmed"
        assert applied(gate.sandbox) == ["pause"]


@needs("nginx")
async def test_the_error_names_an_etag_that_a_cache_keeps_showing(tmp_path: Path) -> None:
    """A cache that heeds nothing shows the very ETag that was refused, for good: the error says so, and what it is."""
    async with behind(NGINX_DEAF, tmp_path) as gate:
        ref = gate.sandbox.add_run("live")
        etag = await gate.cached(ref)
        gate.sandbox.touch(ref)
        async with gate.session() as fielding:
            with pytest.raises(FieldingError) as caught:
                await fielding.run(ref).pause(timeout=0.8)
        assert not isinstance(caught.value, OutcomeUnknownError)
        assert etag in str(caught.value)
        assert "cache" in str(caught.value)
        assert applied(gate.sandbox) == []


@needs("squid")
async def test_an_age_tells_that_a_state_is_past(tmp_path: Path) -> None:
    """A cache that heeds no Cache-Control holds "paused" and its age: it is asked until it has the present."""
    async with behind(SQUID_DEAF, tmp_path) as gate:
        ref = gate.sandbox.add_run("paused")
        await gate.cached(ref, max_age=2)
        await gate.aged(ref)
        gate.sandbox.touch(ref, status="live")
        async with gate.session() as fielding:
            assert (await fielding.run(ref).pause()).effect == "accepted"
        assert applied(gate.sandbox) == ["pause"]


@needs("squid")
async def test_an_age_that_never_ends_founds_no_already(tmp_path: Path) -> None:
    """The cache holds "paused" for good: what is told is never that the run is paused."""
    async with behind(SQUID_DEAF, tmp_path) as gate:
        ref = gate.sandbox.add_run("paused")
        await gate.cached(ref)
        await gate.aged(ref)
        gate.sandbox.touch(ref, status="live")
        async with gate.session() as fielding:
            with pytest.raises(FieldingError):
                await fielding.run(ref).pause(timeout=1.5)
        assert applied(gate.sandbox) == []


# -- 504 by the gateway itself


@pytest.mark.parametrize("gateway", REVERSE)
async def test_a_gateway_that_gave_up_says_nothing_of_the_exchange(gateway: Gateway, tmp_path: Path) -> None:
    """The gateway answers in place of an exchange that is only slow, and the pause lands later: unknown, no failure."""
    async with behind(gateway, tmp_path) as gate:
        ref = gate.sandbox.add_run("live")
        hold = Hold()
        gate.sandbox.script(hold, on="pause")
        async with gate.session(retry=Retry(max_attempts=1)) as fielding:
            with pytest.raises(OutcomeUnknownError) as caught:
                await fielding.run(ref).pause()
            assert isinstance(caught.value.__cause__, ServerError)
            assert gate.sandbox.inspect(ref).status == "live"
            hold.release()
            await gate.until(ref, "paused")
            assert (await fielding.run(ref).pause()).effect in {"already", "unconfirmed"}
        assert applied(gate.sandbox) == ["pause"]


@pytest.mark.parametrize("gateway", REVERSE)
async def test_a_lost_reply_is_healed(gateway: Gateway, tmp_path: Path) -> None:
    """The exchange cuts the connection after a resume was applied, and before another one: each is applied once."""
    async with behind(gateway, tmp_path) as gate:
        first, second = gate.sandbox.add_run("paused"), gate.sandbox.add_run("paused")
        gate.sandbox.script(Cut("after"), on="resume", ref=first)
        gate.sandbox.script(Cut("before"), on="resume", ref=second)
        async with gate.session() as fielding:
            assert (await fielding.run(first).resume()).effect == "unconfirmed"
            assert (await fielding.run(second).resume()).effect == "accepted"
        assert applied(gate.sandbox) == ["resume", "resume"]


# -- rewritten ETags


@pytest.mark.parametrize(
    "gateway",
    [
        pytest.param(reverse(lambda ports: apache(ports[0])), marks=needs("apache2"), id="Apache, mod_deflate"),
        pytest.param(reverse(lambda ports: nginx(ports, gzip=True)), marks=needs("nginx"), id="nginx, gzip"),
    ],
)
@pytest.mark.parametrize("etag", ['W/"{version}"', '"{version}"'], ids=["weak", "strong"])
async def test_compression_rewrites_no_etag(gateway: Gateway, etag: str, tmp_path: Path) -> None:
    """A cold action takes two requests, an update and the next action one each: no ETag came back altered."""
    async with behind(gateway, tmp_path, behaviour=Behaviour(etag=etag)) as gate:
        ref = gate.sandbox.add_run("live")
        async with gate.session() as fielding:
            run = fielding.run(ref)
            assert (await run.pause(timeout=5)).requests == 2
            assert (await run.update(longer, timeout=5)).requests == 1
            assert (await run.resume(timeout=5)).requests == 1
        assert applied(gate.sandbox) == ["pause", "update", "resume"]


# -- copies that the gateway makes


@needs("nginx")
async def test_an_update_that_nginx_sends_twice_is_applied_once(tmp_path: Path) -> None:
    """nginx sends a PUT again where its reply was lost, and hands on the 412 for the copy: the dates are there."""
    twice = reverse(lambda ports: nginx([*ports, *ports], next_upstream="error timeout"))
    async with behind(twice, tmp_path) as gate:
        ref = gate.sandbox.add_run("live")
        gate.sandbox.script(Cut("after"), on="update")
        async with gate.session() as fielding:
            assert (await fielding.run(ref).update(end_fielding_at=END)).effect in {"already", "unconfirmed"}
        assert len(sent(gate.sandbox, "update")) == 2
        assert applied(gate.sandbox) == ["update"]


@needs("nginx")
async def test_nginx_sends_no_post_twice(tmp_path: Path) -> None:
    """A POST is not repeated by nginx: the client is told, and heals it."""
    twice = reverse(lambda ports: nginx([*ports, *ports], next_upstream="error timeout"))
    async with behind(twice, tmp_path) as gate:
        ref = gate.sandbox.add_run("live")
        gate.sandbox.script(Cut("after"), on="pause")
        async with gate.session() as fielding:
            assert (await fielding.run(ref).pause()).effect == "unconfirmed"
        assert applied(gate.sandbox) == ["pause"]


@needs("haproxy")
async def test_a_redispatched_request_is_accepted(tmp_path: Path) -> None:
    """HAProxy finds one of two servers dead and turns to the other: the client sees nothing of it."""
    async with behind(reverse(lambda ports: haproxy([free_port(), *ports])), tmp_path) as gate:
        refs = [gate.sandbox.add_run("live") for _ in range(4)]
        async with gate.session() as fielding:
            outcomes = [await fielding.run(ref).pause() for ref in refs]
        assert {(outcome.effect, outcome.requests) for outcome in outcomes} == {("accepted", 2)}


# -- pages of the gateway's own


OWN_412 = pytest.param(reverse(lambda ports: nginx(ports, own_page=200)), marks=needs("nginx"), id="nginx, its own 412")
PAGES = [
    pytest.param(reverse(lambda ports: nginx(ports, own_page=202)), marks=needs("nginx"), id="nginx, 202"),
    pytest.param(reverse(lambda ports: haproxy(ports, own_page=True)), marks=needs("haproxy"), id="HAProxy, 200"),
]


@pytest.mark.parametrize("gateway", [*PAGES, OWN_412])
async def test_a_page_of_the_gateway_is_no_answer_to_a_write_that_was_lost(gateway: Gateway, tmp_path: Path) -> None:
    """The gateway answers with a page of its own for a pause that it lost: it is looked into, and sent again."""
    async with behind(gateway, tmp_path) as gate:
        ref = gate.sandbox.add_run("live")
        gate.sandbox.script(Cut("before"), on="pause")
        async with gate.session() as fielding:
            assert (await fielding.run(ref).pause(timeout=5)).effect == "accepted"
        assert applied(gate.sandbox) == ["pause"]


@pytest.mark.parametrize("gateway", PAGES)
async def test_a_page_in_place_of_an_acceptance_is_looked_into(gateway: Gateway, tmp_path: Path) -> None:
    """The gateway answers with a page of its own for writes that were applied: they are there, and may be another's."""
    async with behind(gateway, tmp_path) as gate:
        ref = gate.sandbox.add_run("live")
        async with gate.session() as fielding:
            gate.sandbox.script(Cut("after"), on="pause")
            assert (await fielding.run(ref).pause(timeout=5)).effect == "unconfirmed"
            gate.sandbox.script(Cut("after"), on="update")
            with pytest.raises(OutcomeUnknownError):
                await fielding.run(ref).update(longer, timeout=5)
        assert applied(gate.sandbox) == ["pause", "update"]


@pytest.mark.parametrize("gateway", [OWN_412])
async def test_a_412_of_the_gateway_is_no_refusal_by_the_exchange(gateway: Gateway, tmp_path: Path) -> None:
    """nginx holds its own page against `If-Match`: what was applied is not told as somebody else's, nor done again."""
    async with behind(gateway, tmp_path) as gate:
        first, second = gate.sandbox.add_run("live"), gate.sandbox.add_run("live")
        gate.sandbox.script(Cut("after"), on="pause")
        gate.sandbox.script(Cut("after"), on="update")
        async with gate.session() as fielding:
            assert (await fielding.run(first).pause(timeout=5)).effect == "unconfirmed"
            with pytest.raises(OutcomeUnknownError):
                await fielding.run(second).update(longer, timeout=5)
        assert applied(gate.sandbox) == ["pause", "update"]

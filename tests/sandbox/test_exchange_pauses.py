"""Live runs that the exchange pauses by itself: at a time, after requests, right after a write whose reply is lost."""

from typing import Any

import pytest

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Behaviour, Cut, ExchangePauses, Sandbox

from .api import GONE, Api, serving


def told(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    return [(write.operation, write.by, write.status_after) for write in sandbox.history]


async def test_a_live_run_is_paused_without_a_write_of_anybody(api: Api) -> None:
    """It is paused at once, shows so in GETs, and is on record as the exchange's."""
    ref = api.sandbox.add_run("live")
    before = api.sandbox.inspect(ref)
    api.sandbox.pause_by_exchange(ref)
    got = await api.get(ref)
    assert got.json["status"] == "paused"
    assert told(api.sandbox) == [("exchange-pause", "exchange", "paused")]
    after = api.sandbox.inspect(ref)
    assert (after.version, after.etag == before.etag) == (2, False)
    assert after.last_changed_by != before.last_changed_by


@pytest.mark.parametrize("steps_version", [True, False])
@pytest.mark.parametrize("steps_etag", [True, False])
async def test_whether_version_and_etag_step_are_two_switches(*, steps_version: bool, steps_etag: bool) -> None:
    """Each steps or stays by itself; the next write steps both, and no ETag is ever used twice."""
    behaviour = Behaviour(pause_steps_version=steps_version, pause_steps_etag=steps_etag, version_step=3)
    async with serving(behaviour=behaviour) as api:
        ref = api.sandbox.add_run("live")
        etags = [api.sandbox.inspect(ref).etag]
        versions = [1]
        for _ in range(2):
            api.sandbox.pause_by_exchange(ref)
            paused = api.sandbox.inspect(ref)
            assert paused.version == versions[-1] + (3 if steps_version else 0)
            assert (paused.etag != etags[-1]) is steps_etag
            assert (await api.get(ref)).etag == paused.etag
            assert (await api.act(ref, "resume", etag=etags[-1])).status == (412 if steps_etag else 204)
            if steps_etag:
                assert (await api.act(ref, "resume")).status == 204
            resumed = api.sandbox.inspect(ref)
            assert (resumed.version, resumed.status) == ((paused.version or 0) + 3, "live")
            assert resumed.etag not in {*etags, paused.etag}
            etags += [resumed.etag]
            versions += [resumed.version or 0]
        writes = [write for write in api.sandbox.history if write.by == "exchange"]
        assert [write.etag_before != write.etag_after for write in writes] == [steps_etag] * 2


async def test_it_pauses_at_a_time_by_its_clock(api: Api) -> None:
    """In the order of due times; a run that ended or was paused before is left as it is."""
    sandbox = api.sandbox
    early, late, ending, paused = (sandbox.add_run("live") for _ in range(4))
    sandbox.pause_by_exchange(late, after=7200)
    sandbox.pause_by_exchange(early, after=3600)
    sandbox.pause_by_exchange(ending, after=8 * 86_400)
    sandbox.pause_by_exchange(paused, after=60)
    sandbox.touch(paused, status="paused")
    sandbox.advance(3600)
    assert [sandbox.inspect(ref).status for ref in (early, late)] == ["paused", "live"]
    sandbox.advance(30 * 86_400)
    assert told(sandbox) == [
        ("touch", "colleague", "paused"),
        ("exchange-pause", "exchange", "paused"),
        ("exchange-pause", "exchange", "paused"),
        ("end", "clock", "completed"),
    ]
    assert [write.ref for write in sandbox.history] == [paused, early, late, ending]
    assert sandbox.history[2].at < sandbox.now


async def test_a_run_that_goes_live_is_paused_after_that(api: Api) -> None:
    """A scheduled run may be set to be paused once it is live."""
    ref = api.sandbox.add_run("scheduled")
    api.sandbox.pause_by_exchange(ref, after=2 * 86_400)
    api.sandbox.advance(3 * 86_400)
    assert [operation for operation, _, _ in told(api.sandbox)] == ["start", "exchange-pause"]


async def test_it_pauses_after_so_many_requests(api: Api) -> None:
    """Requests about this run that are handled count, whatever their answer; others and those cut before do not."""
    ref, other = api.sandbox.add_run("live"), api.sandbox.add_run("live")
    api.sandbox.pause_by_exchange(ref, requests=2)
    api.sandbox.script(Cut("before"), on="pause", ref=ref)
    with pytest.raises(GONE):
        await api.act(ref, "pause")
    assert (await api.get(other)).json["status"] == "live"
    assert (await api.get(ref)).json["status"] == "live"
    assert api.sandbox.history == ()
    assert (await api.act(ref, "pause", etag='W/"9"')).status == 412
    assert (await api.get(ref)).json["status"] == "paused"
    assert told(api.sandbox) == [("exchange-pause", "exchange", "paused")]


async def test_resumed_then_lost_then_paused_again(api: Api) -> None:
    """A resume is applied, its reply is lost, and the exchange pauses the run again before anybody looks."""
    ref = api.sandbox.add_run("paused")
    api.sandbox.script((Cut("after"), ExchangePauses("after")), on="resume", ref=ref)
    with pytest.raises(GONE):
        await api.act(ref, "resume")
    assert (await api.get(ref)).json["status"] == "paused"
    assert told(api.sandbox) == [("resume", "client", "live"), ("exchange-pause", "exchange", "paused")]


async def test_it_may_come_first(api: Api) -> None:
    """Paused just before a request is handled, the run refuses it; that of a run that is not live does nothing."""
    ref = api.sandbox.add_run("live")
    etag = api.sandbox.inspect(ref).etag
    api.sandbox.script(ExchangePauses(), on="pause", ref=ref)
    assert (await api.act(ref, "pause", etag=etag)).status == 412
    assert told(api.sandbox) == [("exchange-pause", "exchange", "paused")]
    api.sandbox.script(ExchangePauses(), on="get")
    assert (await api.get(ref)).json["version"] == 2  # it is not live: nothing happens
    assert api.sandbox.unused_faults == []


async def test_it_is_visible_at_once_and_lags_as_reads_do() -> None:
    """The exchange's own changes wait for no `apply_delay`, and `read_lag` hides them as any other."""
    async with serving(behaviour=Behaviour(read_lag=60, apply_delay=5)) as api:
        ref = api.sandbox.add_run("live")
        api.sandbox.advance(100)
        api.sandbox.pause_by_exchange(ref)
        assert api.sandbox.inspect(ref).status == "paused"
        assert (await api.get(ref)).json["status"] == "live"
        api.sandbox.advance(61)
        assert (await api.get(ref)).json["status"] == "paused"


@pytest.mark.parametrize("steps_etag", [True, False])
def test_going_live_and_ending_have_a_switch_for_the_etag_too(*, steps_etag: bool) -> None:
    """`clock_steps_etag` is by itself; left out, the ETag steps where the version does."""
    for steps_version in (True, False):
        for switch, expected in ((steps_etag, steps_etag), (None, steps_version)):
            sandbox = Sandbox(behaviour=Behaviour(clock_steps_version=steps_version, clock_steps_etag=switch))
            ref = sandbox.add_run("scheduled")
            before = sandbox.inspect(ref)
            sandbox.advance(2 * 86_400)
            after = sandbox.inspect(ref)
            assert after.version == (2 if steps_version else 1)
            assert (after.etag != before.etag) is expected


def test_arguments_are_checked_when_they_are_given() -> None:
    """A run that is unknown or not live, bad numbers, both at once, an unknown moment: each is refused at once."""
    sandbox = Sandbox()
    ref, paused = sandbox.add_run("live"), sandbox.add_run("paused")
    with pytest.raises(KeyError):
        sandbox.pause_by_exchange(RunRef(101, "0" * 26, "0" * 26, "none"))
    with pytest.raises(ConfigurationError, match="must be live, as the exchange pauses no others, and is paused"):
        sandbox.pause_by_exchange(paused)
    bad: list[dict[str, Any]] = [
        {"after": -1},
        {"after": float("nan")},
        {"after": float("inf")},
        {"after": 1e12},
        {"after": True},
        {"after": "1"},
        {"requests": 0},
        {"requests": 1.0},
        {"requests": True},
        {"after": 1, "requests": 1},
    ]
    for arguments in bad:
        with pytest.raises(ConfigurationError, match=r"pause_by_exchange\("):
            sandbox.pause_by_exchange(ref, **arguments)
    with pytest.raises(ConfigurationError, match=r"ExchangePauses\(when='later'\): must be"):
        ExchangePauses("later")  # type: ignore[arg-type]
    for name in ("pause_steps_version", "pause_steps_etag", "clock_steps_etag"):
        with pytest.raises(ConfigurationError, match=name):
            Behaviour(**{name: 1})  # type: ignore[arg-type]
    assert sandbox.history == ()

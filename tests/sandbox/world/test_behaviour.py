"""The switches for what is unknown of the real exchange."""

from datetime import timedelta
from typing import Any

import pytest

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox import Behaviour
from tests.sandbox.api import serving


@pytest.mark.parametrize(
    ("etag", "text"),
    [
        ('"{version}"', '"7"'),
        ('"a,{version}"', '"a,7"'),
        ('W/"é~{version}"', 'W/"é~7"'),
        ("{version:05}", "00007"),
        (lambda version: f"<{version * 3}>", "<21>"),
    ],
)
async def test_etags_take_any_form(etag: Any, text: str) -> None:
    """An ETag of any form is sent as it is, and taken back only as it is."""
    async with serving(behaviour=Behaviour(etag=etag)) as api:
        ref = api.sandbox.add_run("live", version=7)
        assert (await api.get(ref)).etag == text
        assert (await api.act(ref, "pause", text + "x")).status == 412
        assert (await api.act(ref, "pause", text)).status == 204


async def test_the_etags_number_may_differ_from_the_version() -> None:
    """With an offset and a step, version and ETag go their own ways."""
    async with serving(behaviour=Behaviour(etag_offset=1000, version_step=3)) as api:
        ref = api.sandbox.add_run("live")
        assert (await api.act(ref, "pause")).etag == 'W/"1004"'
        assert (await api.get(ref)).json["version"] == 4


async def test_the_clock_may_leave_the_version_alone() -> None:
    """Without `clock_steps_version` going live shows no new ETag."""
    async with serving(behaviour=Behaviour(clock_steps_version=False)) as api:
        ref = api.sandbox.add_run()
        api.sandbox.advance(86_400)
        got = await api.get(ref)
        assert (got.json["status"], got.etag) == ("live", 'W/"1"')


@pytest.mark.parametrize(("first", "status"), [(False, 412), (True, 422)])
async def test_state_may_be_judged_before_the_etag(first: bool, status: int) -> None:
    """A stale action from the wrong state is 412, or 422 with the switch."""
    async with serving(behaviour=Behaviour(state_before_etag=first)) as api:
        ref = api.sandbox.add_run("completed")
        assert (await api.act(ref, "pause", 'W/"9"')).status == status
        assert (await api.act(ref, "relaunch", 'W/"9"')).status == 412


async def test_dates_may_be_stored_coarsely() -> None:
    """With a precision of seconds the fraction is cut off, also when a launch moves the start."""
    async with serving(behaviour=Behaviour(date_precision=timedelta(seconds=1))) as api:
        ref = api.sandbox.add_run()
        assert (await api.update(ref, "2199-01-01T00:00:00.900Z", "2199-01-02T00:00:00.999Z")).status == 202
        run = api.sandbox.inspect(ref)
        assert (run.start_text, run.end_text) == ("2199-01-01T00:00:00.000Z", "2199-01-02T00:00:00.000Z")
        assert (await api.act(ref, "launch-now")).json["start_fielding_at"].endswith(".000Z")


async def test_reads_may_lag_behind_writes() -> None:
    """With a read lag a GET shows the run as it was, while writes are judged by the truth."""
    async with serving(behaviour=Behaviour(read_lag=30)) as api:
        ref = api.sandbox.add_run("live")
        assert (await api.act(ref, "pause")).etag == 'W/"2"'
        stale = await api.get(ref)
        assert (stale.json["status"], stale.etag) == ("live", 'W/"1"')
        assert api.sandbox.inspect(ref).status == "paused"
        assert (await api.act(ref, "resume", stale.etag)).status == 412
        api.sandbox.advance(31)
        assert (await api.get(ref)).json["status"] == "paused"


async def test_writes_may_be_applied_later() -> None:
    """With a delay the old run shows for a while, though the new ETag was answered and already counts."""
    async with serving(behaviour=Behaviour(apply_delay=30)) as api:
        ref = api.sandbox.add_run("live")
        etag = (await api.act(ref, "pause")).etag
        assert (await api.get(ref)).etag == api.sandbox.inspect(ref).etag == 'W/"1"'
        assert (await api.act(ref, "resume", 'W/"1"')).status == 412
        assert (await api.act(ref, "resume", etag)).status == 204
        api.sandbox.advance(31)
        assert (await api.get(ref)).etag == 'W/"3"'
        api.sandbox.touch(ref, status="paused")
        assert (await api.get(ref)).json["status"] == "paused"


@pytest.mark.parametrize(("answer", "status"), [("first", 204), ("second", 412)])
async def test_writes_may_arrive_twice(answer: Any, status: int) -> None:
    """A repeated write is applied once, and the second copy's 412 may be what the client sees."""
    async with serving(behaviour=Behaviour(repeat_requests=answer)) as api:
        ref = api.sandbox.add_run("live")
        assert (await api.act(ref, "pause")).status == status
        assert [write.status_after for write in api.sandbox.history] == ["paused"]
        assert [request.applied for request in api.sandbox.requests] == [True]
        assert (await api.bulk("resume", ref.target_group_id)).status == 201
        assert len(api.sandbox.jobs) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"etag": "constant"},
        {"etag": "{number}"},
        {"etag": lambda _: ""},
        {"etag_offset": 1.5},
        {"version_step": 0},
        {"read_lag": -1},
        {"apply_delay": float("nan")},
        {"date_precision": timedelta(0)},
        {"location": "somewhere"},
        {"repeat_requests": True},
        {"state_before_etag": "yes"},
        {"job_polls": -1},
        {"last_cursor": None},
        {"endless_lists": True},
        {"has_more_backwards": 1},
        {"discovery_dates": "iso"},
        {"discovery_nulls": "no"},
    ],
)
def test_bad_switches_are_refused(settings: Any) -> None:
    """A switch with a value it does not have is a ConfigurationError."""
    with pytest.raises(ConfigurationError):
        Behaviour(**settings)

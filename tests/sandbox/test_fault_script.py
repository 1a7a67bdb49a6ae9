"""Which request a scripted fault is for."""

from typing import Any

import pytest

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox import Cut, Delay, JobFails, Sandbox, SecondWriter, Status

from .api import Api, group_path, serving


async def test_faults_strike_what_they_are_for(api: Api) -> None:
    """Faults wait for their operation, method or run, in order among those that match, each used once."""
    one, two = api.sandbox.add_run("live"), api.sandbox.add_run("live")
    api.sandbox.script(Status(501), Status(502), on="get")
    api.sandbox.script(Status(503), ref=two)
    api.sandbox.script(Status(504), on="POST", ref=one)
    assert (await api.send("GET", f"{group_path(one)}/fielding-runs")).status == 200
    assert [(await api.get(one)).status for _ in range(3)] == [501, 502, 200]
    assert [(await api.get(two)).status for _ in range(2)] == [503, 200]
    assert (await api.act(one, "pause")).status == 504
    assert (await api.act(one, "pause")).status == 204


async def test_faults_that_cannot_strike_are_passed_over(api: Api) -> None:
    """A second writer waits for a request about a run, a failing job for one that makes a job."""
    ref, draft = api.sandbox.add_run("live"), api.sandbox.add_draft()
    api.sandbox.script(SecondWriter(), JobFails())
    assert (await api.send("GET", f"{group_path(draft)}/fielding-runs")).status == 200
    assert len(api.sandbox.unused_faults) == 2
    await api.get(ref)
    await api.bulk("pause", ref.target_group_id)
    assert api.sandbox.jobs[0].status == "Failed"


async def test_unused_faults_are_named() -> None:
    """Faults that never struck are listed, raised on request, and can be forgotten."""
    async with serving() as api:
        api.sandbox.script(Status(500), (Delay(1), Cut()))
        assert api.sandbox.unused_faults == [Status(500), Delay(1), Cut()]
        with pytest.raises(AssertionError, match=r"Status.*Delay.*Cut"):
            api.sandbox.assert_faults_used()
        api.sandbox.clear_faults()
        api.sandbox.assert_faults_used()


@pytest.mark.parametrize(("faults", "on"), [([Status(500)], "lanch-now"), (["cut"], None), ([(Cut(), 5)], None)])
def test_bad_scripts_are_refused(faults: Any, on: str | None) -> None:
    """What is no fault, and an operation that does not exist, is a ConfigurationError; nothing is scripted."""
    sandbox = Sandbox()
    with pytest.raises(ConfigurationError):
        sandbox.script(Cut(), *faults, on=on)
    assert sandbox.unused_faults == []

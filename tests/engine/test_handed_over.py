"""A write that was handed over to a task of its own, when that task is cancelled before its first step.

Programs that cancel all tasks again and again until none is left do that.
"""

import asyncio

import pytest

from fielding_async.http.fast_path import FastPath
from fielding_async.sandbox import Hold, Sandbox
from tests.tools.sessions import session
from tests.tools.waits import HANG


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "public"])
async def test_its_slot_and_its_connection_are_returned(monkeypatch: pytest.MonkeyPatch, is_fast: bool) -> None:
    if not is_fast:
        monkeypatch.setattr(FastPath, "is_usable", staticmethod(lambda _session, _connector: False))
    with Sandbox() as sandbox:
        ref = sandbox.add_run("live")
        fielding = session(sandbox)
        await fielding.__aenter__()
        await fielding.run(ref).get()
        sandbox.script(hold := Hold("after"), on="pause")
        pausing = asyncio.create_task(fielding.run(ref).pause())
        await hold.arrived()
        before = asyncio.all_tasks() - {pausing}
        pausing.cancel()
        while writes := [task for task in asyncio.all_tasks() - before if not task.done()]:
            for task in writes:
                task.cancel()
            await asyncio.sleep(0)
        assert (await asyncio.wait_for(fielding.run(ref).get(), HANG)).status == "paused"
        assert fielding.stats().in_flight == 0
        hold.release()
        await asyncio.wait_for(fielding.aclose(), HANG)

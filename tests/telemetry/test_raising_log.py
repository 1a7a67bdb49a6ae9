"""Log filters and handlers of the user's that raise change nothing about a call."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from fielding_async.sandbox import Cut, Hold, Sandbox
from tests.tools.sessions import session


class Raises(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        raise ZeroDivisionError


@pytest.fixture(autouse=True)
def raising() -> Iterator[None]:
    log, raises = logging.getLogger("fielding_async"), Raises()
    level = log.level
    log.setLevel(logging.DEBUG)
    log.addFilter(raises)
    yield
    log.removeFilter(raises)
    log.setLevel(level)


async def test_a_lost_reply_is_healed() -> None:
    async with Sandbox() as sandbox, session(sandbox) as fielding:
        ref = sandbox.add_run("live")
        sandbox.script(Cut("after"), on="pause")
        assert (await fielding.run(ref).pause()).effect == "unconfirmed"


async def test_a_cancelled_write_keeps_its_turn_until_it_is_over() -> None:
    async with Sandbox() as sandbox, session(sandbox) as fielding:
        run = fielding.run(sandbox.add_run("live"))
        await run.get()
        sandbox.script(hold := Hold("after"), on="pause")
        pausing = asyncio.create_task(run.pause())
        await hold.arrived()
        pausing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pausing
        resuming = asyncio.create_task(run.resume())
        await asyncio.sleep(0)
        assert fielding.stats().waiting_turns == 1
        hold.release()
        outcome = await resuming
        assert (outcome.effect, outcome.requests) == ("accepted", 1)

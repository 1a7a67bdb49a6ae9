"""The event loop with virtual time."""

import asyncio
import time

import pytest

from .virtual_time import Deadlock, Livelock, VirtualTimeLoop, run


def test_a_day_takes_no_time() -> None:
    """Sleeping moves the loop's clock by exactly what was asked for, without waiting."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(86_400 * 3)
        return loop.time() - start

    before = time.monotonic()
    assert run(main()) == 86_400 * 3
    assert time.monotonic() - before < 86_400


def test_timers_fire_in_order_at_their_own_times() -> None:
    """Timers fire in the order of their times, each at its very time."""
    fired: list[float] = []

    async def sleeper(seconds: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        await asyncio.sleep(seconds)
        assert loop.time() == due
        fired.append(seconds)

    async def main() -> None:
        await asyncio.gather(*(sleeper(seconds) for seconds in (0.3, 0.1, 7.7, 0.2)))

    run(main())
    assert fired == [0.1, 0.2, 0.3, 7.7]


def test_timeouts_expire_in_virtual_time() -> None:
    """`asyncio.timeout` and `asyncio.wait_for` follow the virtual clock."""

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.sleep(7200)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 3600)

    run(main())


def test_a_deadlock_names_who_waits_where() -> None:
    """A main task that nothing can ever wake is a `Deadlock` that lists the pending tasks."""

    async def waits_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = asyncio.create_task(waits_for_ever(), name="the other one")
        await task

    with pytest.raises(Deadlock, match=r"the other one: .*waits_for_ever"):
        run(main())


def test_spinning_is_told_from_progress() -> None:
    """A program that spins while time stands still is a `Livelock`, not a test that hangs."""

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_soon(again)

        again()
        await loop.create_future()

    with pytest.raises(Livelock):
        run(main())


def test_jumps_are_announced_when_all_is_quiet() -> None:
    """`on_jump` is called before time moves, when everything that was ready has been done."""
    loop = VirtualTimeLoop()
    seen: list[float] = []
    loop.on_jump = lambda: seen.append(loop.time())

    async def main() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(1)
        await asyncio.sleep(2)

    run(main(), loop=loop)
    assert seen == [1000.0, 1001.0]


def test_threads_are_refused() -> None:
    """Work in threads would happen in real time, so it is refused."""

    async def main() -> None:
        await asyncio.to_thread(lambda: None)

    with pytest.raises(NotImplementedError):
        run(main())

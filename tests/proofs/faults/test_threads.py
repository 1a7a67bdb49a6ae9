"""Sessions on event loops in threads of one process: what one sends never shows up in what another sends."""

import asyncio
import gc
import sys
from collections.abc import Iterator
from threading import Barrier, Thread

import pytest

from fielding_async import FieldingSession, Limits, RunRef
from fielding_async.sandbox import Sandbox

CALLS = 150  # of each thread


@pytest.fixture
def _switching() -> Iterator[None]:
    """Let threads take turns far more often than they would, and in the middle of C code that makes objects."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()

    def collected(_phase: str, _info: dict[str, int]) -> None:
        """Run some Python, for that is where threads take turns."""

    gc.callbacks.append(collected)
    gc.set_threshold(3, 1_000_000, 1_000_000)
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)
    gc.callbacks.remove(collected)


@pytest.mark.usefixtures("_switching")
def test_requests_of_two_threads_stay_apart() -> None:
    """Every write arrives once, at its own run, with the token of its session and the ETag of its run.

    Before 3.13, aiohttp serialised headers into one buffer for the whole process.
    """
    with Sandbox(keep=None) as box:
        runs = {f"token-{name}": [box.add_run("live") for _ in range(CALLS)] for name in ("one", "two")}
        together = Barrier(len(runs))
        wrong: list[BaseException] = []

        async def pause(token: str, refs: list[RunRef]) -> None:
            limits = Limits(concurrency=16, adaptive=False)
            async with FieldingSession(token, base_url=box.url, limits=limits) as fielding, asyncio.TaskGroup() as all_:
                together.wait()
                for ref in refs:
                    all_.create_task(fielding.run(ref).pause())

        def work(token: str, refs: list[RunRef]) -> None:
            try:
                asyncio.run(pause(token, refs))
            except BaseException as error:
                wrong.append(error)

        threads = [Thread(target=work, args=(token, refs)) for token, refs in runs.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        owners = {ref.fielding_run_id: token for token, refs in runs.items() for ref in refs}
        for request in box.requests:
            assert request.ref is not None
            assert request.header("authorization") == f"Bearer {owners[request.ref.fielding_run_id]}"
        assert sorted(write.ref.fielding_run_id for write in box.history if write.by == "client") == sorted(owners)

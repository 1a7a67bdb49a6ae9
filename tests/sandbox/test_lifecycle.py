"""Starting, stopping, and threads."""

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest

from fielding_async.sandbox import Hold, Sandbox

from .api import Api, status_of


def test_it_serves_sync_code_from_a_thread_of_its_own() -> None:
    """`with` serves from another thread, and leaves none behind."""
    with Sandbox() as sandbox:
        ref = sandbox.add_run("live")
        assert '"live"' in status_of(sandbox, ref)
        sandbox.touch(ref, status="paused")
        assert '"paused"' in status_of(sandbox, ref)
        assert "fielding-sandbox" in {thread.name for thread in threading.enumerate()}
    assert "fielding-sandbox" not in {thread.name for thread in threading.enumerate()}


def test_start_and_stop_may_be_called_twice() -> None:
    """Starting what is started and stopping what is stopped do nothing; a restart keeps what it holds."""
    sandbox = Sandbox()
    sandbox.stop()
    assert sandbox.start() is sandbox
    url = sandbox.url
    assert sandbox.start().url == url
    ref = sandbox.add_run()
    sandbox.stop()
    sandbox.stop()
    with sandbox:
        assert '"scheduled"' in status_of(sandbox, ref)


def test_the_url_needs_a_start() -> None:
    """Before the start and after the stop there is no URL, and the error says what to do."""
    sandbox = Sandbox()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="not started"):
            _ = sandbox.url
        with pytest.raises(RuntimeError, match="not started"):
            _ = sandbox.token_url
        with sandbox:
            assert sandbox.url.endswith("/v1")


async def test_one_way_of_starting_excludes_the_other() -> None:
    """Inside `async with` neither `start()` nor a second `async with` will do, nor `async with` in a thread's time."""
    async with Sandbox() as sandbox:
        with pytest.raises(RuntimeError, match="already started"):
            sandbox.start()
        with pytest.raises(RuntimeError, match="already started"):
            await sandbox.__aenter__()
        sandbox.stop()
        assert sandbox.url
    with Sandbox() as threaded, pytest.raises(RuntimeError, match="already started"):
        await threaded.__aenter__()
    async with sandbox:
        assert sandbox.url


async def test_a_port_that_is_taken_is_an_os_error() -> None:
    """A port in use is reported, in both ways of starting, and the sandbox can be started later."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        sandbox = Sandbox(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await asyncio.to_thread(sandbox.start)
        with pytest.raises(OSError, match="in use"):
            await sandbox.__aenter__()
    with sandbox:
        assert sandbox.url


async def test_many_threads_may_use_it_at_once() -> None:
    """Writers in threads and requests over HTTP do not tread on one another: every version is counted."""
    with Sandbox() as sandbox:
        ref = sandbox.add_run("live")
        with ThreadPoolExecutor(4) as pool:
            touches = [pool.submit(sandbox.touch, ref) for _ in range(100)]
            async with aiohttp.ClientSession() as http:
                replies = await asyncio.gather(*(Api(sandbox, http).get(ref) for _ in range(20)))
        assert {touch.result().version for touch in touches} == set(range(2, 102))
        assert {reply.status for reply in replies} == {200}
        assert [write.seq for write in sandbox.history] == list(range(1, 101))


async def test_a_hold_works_across_threads() -> None:
    """A request held in the sandbox's thread can be waited for and released from any other."""
    hold = Hold()
    with pytest.raises(TimeoutError):
        hold.wait_arrived(0)
    with Sandbox() as sandbox:
        ref = sandbox.add_run("live")
        sandbox.script(hold)
        async with aiohttp.ClientSession() as http:
            task = asyncio.create_task(Api(sandbox, http).act(ref, "pause"))
            await hold.arrived()
            assert sandbox.inspect(ref).status == "live"
            await asyncio.to_thread(hold.wait_arrived, 5)
            await asyncio.to_thread(hold.release)
            assert (await task).status == 204

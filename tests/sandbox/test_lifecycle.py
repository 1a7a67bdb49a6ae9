"""Starting, stopping, threads, and the pytest fixture."""

import asyncio
import socket
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points

import aiohttp
import pytest

from fielding_async.core.models import RunRef
from fielding_async.sandbox import Cut, Hold, Sandbox, Status

from .api import Api, run_path

pytest_plugins = ["pytester"]


def status_of(sandbox: Sandbox, ref: RunRef) -> str:
    """GET a run without an event loop."""
    request = urllib.request.Request(sandbox.url + run_path(ref), headers={"Cint-API-Version": "2025-12-18"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return str(reply.read().decode())


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


def test_the_fixture_gives_a_started_sandbox(fielding_sandbox: Sandbox) -> None:
    """The fixture's sandbox listens, in a thread of its own."""
    ref = fielding_sandbox.add_run()
    assert '"scheduled"' in status_of(fielding_sandbox, ref)
    fielding_sandbox.script(Status(500))
    with pytest.raises(OSError, match="500"):
        status_of(fielding_sandbox, ref)


def test_the_fixture_fails_a_test_that_leaves_faults(pytester: pytest.Pytester) -> None:
    """A scripted fault that never struck is an error at the end of the test that scripted it."""
    pytester.makepyfile(
        """
        from fielding_async.sandbox import Cut

        def test_good(fielding_sandbox):
            assert fielding_sandbox.url

        def test_bad(fielding_sandbox):
            fielding_sandbox.script(Cut())
        """
    )
    options = ("-o", "asyncio_default_fixture_loop_scope=function")
    result = pytester.runpytest_inprocess(*options, *plugin_option())
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*scripted faults that never struck: Cut(at='after')*"])


def plugin_option() -> tuple[str, ...]:
    """Load the plugin by name where the package is not installed with its entry points."""
    points = entry_points(group="pytest11")
    known = any(point.value == "fielding_async.pytest_plugin" for point in points)
    return () if known else ("-p", "fielding_async.pytest_plugin")


def test_the_plugin_is_light() -> None:
    """Importing the plugin imports neither the sandbox nor aiohttp."""
    code = (
        "import sys, fielding_async.pytest_plugin\n"
        "heavy = [n for n in sys.modules if n in ('aiohttp', 'attrs', 'cattrs') or n.startswith('fielding_async.s')]\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_request_that_never_ends_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """A client that goes away in the middle of its body has sent no request, and nobody makes a noise."""
    with Sandbox() as sandbox:
        ref = sandbox.add_run()
        host, port = sandbox.url.removeprefix("http://").removesuffix("/v1").split(":")
        with socket.create_connection((host, int(port))) as connection:
            head = f"PUT /v1{run_path(ref)} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"
            connection.sendall(head.encode() + b"{")
        assert '"scheduled"' in status_of(sandbox, ref)
    assert [request.operation for request in sandbox.requests] == ["get"]
    assert caplog.records == []


async def test_nothing_is_left_on_the_loop() -> None:
    """Stopping leaves no task behind, even with connections open and a reply cut."""
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as http:
        async with Sandbox() as sandbox:
            ref = sandbox.add_run("live")
            api = Api(sandbox, http)
            await api.get(ref)
            sandbox.script(Cut("headers"))
            with pytest.raises(aiohttp.ClientError):
                await api.act(ref, "pause")
            await api.get(ref)
        assert asyncio.all_tasks() == before

"""A closing that is cancelled closes all the same: on asyncio and on uvloop, whoever cancels, whatever is under way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, cast

import anyio
import pytest

from fielding_async import FieldingSession, Limits, OutcomeUnknownError, Retry, SessionClosedError, Timeout
from fielding_async.core.pace.pacer import Pacer
from tests.tools.sessions import REF, TOKEN

RUN = (
    b'{"id":"run","status":"live","version":1,"start_fielding_at":"2026-01-01T00:00:00.000Z",'
    b'"end_fielding_at":"2031-01-01T00:00:00.000Z","last_changed_at":"2026-01-01T00:00:00.000Z","last_changed_by":"x"}'
)
BOUND = 3.0  # seconds, for what never comes on a broken client; nothing is measured by it


class Server(asyncio.Protocol):
    """An exchange on the test's own loop, without a task: it answers GETs, and each write as `state` wants it.

    `reached`: set when the state that the test is about has been reached, as far as the server sees it.
    """

    def __init__(self, state: str) -> None:
        self.state = state
        self.requests: list[bytes] = []
        self.reached = asyncio.Event()
        self.open = 0
        self.none_open = asyncio.Event()

    def connection(self) -> asyncio.Protocol:
        return Connection(self)


class Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # those of uvloop do not inherit from it
        self.server.open += 1
        self.server.none_open.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.open -= 1
        if not self.server.open:
            self.server.none_open.set()

    def data_received(self, data: bytes) -> None:
        server = self.server
        server.requests.append(data.split(b" ")[0])
        if data.startswith(b"GET"):
            self.transport.write(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: %d\r\n\r\n%s' % (len(RUN), RUN))
        elif server.state == "backoff":
            self.transport.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        else:
            server.reached.set()  # and no answer


async def until(condition: Callable[[], object]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(BOUND):
        while not condition():
            await asyncio.sleep(0)


@asynccontextmanager
async def serving(state: str) -> AsyncIterator[tuple[Server, str]]:
    server = Server(state)
    listening = await asyncio.get_running_loop().create_server(server.connection, "127.0.0.1", 0)
    scheme = "https" if state == "handshake" else "http"
    try:
        yield server, f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    finally:
        listening.close()  # otherwise uvloop never ends after a test that failed


async def never() -> str:
    await asyncio.Event().wait()
    return TOKEN


class Scene:
    """A session with one or two calls of which the last is in the `state` that the test is about."""

    def __init__(self, state: str, server: Server, url: str) -> None:
        self.state, self.server = state, server
        self.fielding = FieldingSession(
            never if state == "token" else TOKEN,
            base_url=url,
            retry=Retry(base=1000, cap=1000),
            timeout=Timeout(total=None),
            limits=Limits(rate=0.001, burst=2) if state == "permission" else Limits(adaptive=False),
        )
        self.others: list[asyncio.Task[Any]] = []

    async def act(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the calls, and wait for the last."""
        run = self.fielding.run(REF)
        if self.state in {"in flight", "gate", "backoff", "turn", "permission"}:
            await run.get()
        if self.state == "gate":
            monkeypatch.setattr(Pacer, "leaves_at", lambda _self, _permit, now: now + 1000)
            monkeypatch.setattr(Pacer, "may_leave", lambda _self, _permit, _now: 1000.0)
        if self.state in {"turn", "permission"}:
            self.others.append(asyncio.create_task(run.pause()))
            await self.server.reached.wait()
        await (
            self.fielding.run(101, "0" * 26, "1" * 26, "another").pause() if self.state == "permission" else run.pause()
        )

    async def reached(self) -> None:
        """Wait until the last call is in the state."""
        await until(lambda: self.fielding._engine is not None)
        engine = self.fielding.engine()
        match self.state:
            case "gate":
                await until(lambda: engine.limiter.gate_queue.waiting)
            case "backoff":
                await until(lambda: engine.sender._sleepers)
            case "token":
                await until(lambda: engine.keeper._fetching)
            case "turn":
                await until(lambda: engine.turns._queues.get(REF))
            case "permission":
                # the call before may have waited for a moment, too
                await until(lambda: self.server.reached.is_set() and engine.limiter.waiting)
            case _:
                await until(self.server.reached.is_set)


async def by_scope(scene: Scene, body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """As `anyio.move_on_after`, at the moment that the test is about."""
    with anyio.CancelScope() as scope:

        async def cancel() -> None:
            await scene.reached()
            scope.cancel()

        watcher = asyncio.create_task(cancel())
        async with scene.fielding:
            await body()
    assert scope.cancelled_caught
    await watcher


async def by_timeout(scene: Scene, body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """As `asyncio.timeout`, at the moment that the test is about."""

    async def whole() -> None:
        async with asyncio.timeout(None) as limit:

            async def expire() -> None:
                await scene.reached()
                limit.reschedule(asyncio.get_running_loop().time())

            watcher = asyncio.create_task(expire())
            async with scene.fielding:
                await body()
            await watcher

    with pytest.raises(TimeoutError):
        await whole()


async def by_cancel(scene: Scene, body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """By `Task.cancel`, and once more while the session closes."""

    async def whole() -> None:
        async with scene.fielding:
            await body()

    task = asyncio.create_task(whole())
    await scene.reached()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def loops() -> Iterator[Any]:
    yield pytest.param(asyncio.new_event_loop, id="asyncio")
    if find_spec("uvloop") is not None:
        import uvloop

        yield pytest.param(uvloop.new_event_loop, id="uvloop")


STATES = ["in flight", "gate", "token", "backoff", "turn", "permission", "handshake"]


@pytest.mark.parametrize("new_loop", list(loops()))
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("way", "times", "where"),
    [
        (by_scope, 20, "in the same task"),
        (by_timeout, 2, "in the same task"),
        (by_cancel, 2, "in the same task"),
        (by_scope, 3, "in another task"),
        (by_cancel, 2, "in another task"),
    ],
)
def test_nothing_is_left_of_a_cancelled_session(
    new_loop: Callable[[], asyncio.AbstractEventLoop], state: str, way: Any, times: int, where: str
) -> None:
    """A cancellation around a session with a call under way leaves no task, no socket and no later request."""

    async def main(monkeypatch: pytest.MonkeyPatch) -> None:
        before = asyncio.all_tasks()
        async with serving(state) as (server, url):
            scene = Scene(state, server, url)

            async def body() -> None:
                if where == "in the same task":
                    await scene.act(monkeypatch)
                scene.others.append(asyncio.create_task(scene.act(monkeypatch)))
                await asyncio.Event().wait()

            await way(scene, body)
            requests = len(server.requests)
            for _ in range(10):
                await asyncio.sleep(0)
            ends = [task.exception() for task in scene.others if task.done() and not task.cancelled()]
            assert all(isinstance(end, SessionClosedError | OutcomeUnknownError) for end in ends), ends
            assert asyncio.all_tasks() == before
            async with asyncio.timeout(BOUND):
                await server.none_open.wait() if server.open else None
            assert len(server.requests) == requests
            with pytest.raises(SessionClosedError, match="the session is closed"):
                await scene.fielding.run(REF).get()
            await scene.fielding.aclose()

    for _ in range(times):
        with pytest.MonkeyPatch.context() as monkeypatch, asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main(monkeypatch))


@pytest.mark.parametrize("new_loop", list(loops()))
@pytest.mark.parametrize("steps", range(4))
def test_no_socket_is_left_where_the_tasks_that_close_are_cancelled(
    new_loop: Callable[[], asyncio.AbstractEventLoop], steps: int
) -> None:
    """Programs that end cancel all tasks, those that close a session as well, before their first step or after it."""

    async def main() -> None:
        before = asyncio.all_tasks()
        async with serving("idle") as (server, url):
            fielding = FieldingSession(TOKEN, base_url=url)
            await fielding.__aenter__()
            await fielding.run(REF).get()
            closing = asyncio.create_task(fielding.aclose())
            await asyncio.sleep(0)
            for _ in range(steps):
                await asyncio.sleep(0)
            for task in asyncio.all_tasks() - before:
                task.cancel()
            await asyncio.gather(closing, return_exceptions=True)
            async with asyncio.timeout(BOUND):
                await server.none_open.wait() if server.open else None

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())

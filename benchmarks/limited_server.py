"""A limited server over real sockets, in a process of its own, that tells what arrived and when."""

import asyncio
import multiprocessing
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection

from attrs import define

from benchmarks.half_speed import half_speed
from benchmarks.limit_servers import Arrival, Limit, Server
from benchmarks.server import Answers

__all__ = ["LimitedServer", "limited"]

_BEARER = re.compile(rb"\r\nauthorization: Bearer ([^\r ]+)", re.IGNORECASE)
_RUN = re.compile(rb"/fielding-runs/([^/ ]+)")
_BODY = (
    b'{"id":"%s","status":"live","version":1,"start_fielding_at":"2026-01-01T00:00:00.000Z",'
    b'"end_fielding_at":"2031-01-01T00:00:00.000Z","last_changed_at":"2026-01-01T00:00:00.000Z",'
    b'"last_changed_by":"somebody"}'
)
_OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: W/"1"\r\nContent-Length: %d\r\n\r\n%s'
_DONE = b'HTTP/1.1 204 No Content\r\nETag: W/"2"\r\n\r\n'
_REFUSED = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: %d\r\nContent-Length: 2\r\n\r\n{}"


class _Limited(Answers):
    def __init__(self, hit: Callable[[str], int | None]) -> None:
        super().__init__()
        self._hit = hit

    def answer(self, head: bytes) -> bytes:
        bearer, run = _BEARER.search(head), _RUN.search(head)
        retry_after = self._hit("" if bearer is None else bearer.group(1).decode())
        if retry_after is not None:
            return _REFUSED % retry_after
        if head.startswith(b"POST"):
            return _DONE
        body = _BODY % (b"run" if run is None else run.group(1))
        return _OK % (len(body), body)


async def _serve(pipe: Connection, limit: Limit) -> None:
    loop = asyncio.get_running_loop()
    state = Server(limit)
    began: float | None = None

    def hit(client: str) -> int | None:
        nonlocal began
        began = loop.time() if began is None else began
        return state.hit(loop.time() - began, client)

    listening = await loop.create_server(lambda: _Limited(hit), "127.0.0.1", 0, backlog=1024)
    pipe.send(listening.sockets[0].getsockname()[1])
    async with listening:
        while await loop.run_in_executor(None, pipe.recv):
            pipe.send(state.arrivals)


def _main(pipe: Connection, limit: Limit, slowed: bool) -> None:
    with half_speed() if slowed else nullcontext():
        asyncio.run(_serve(pipe, limit))


@define
class LimitedServer:
    """A running server. Its time begins with the first request, and so does its first window."""

    base_url: str
    _pipe: Connection

    def arrivals(self) -> list[Arrival]:
        """Return all that arrived so far; a client is known by its token."""
        self._pipe.send(True)
        arrivals: list[Arrival] = self._pipe.recv()
        return arrivals


@contextmanager
def limited(limit: Limit, *, slowed: bool = False) -> Generator[LimitedServer]:
    """Run a server under a limit. `slowed`: on a processor of half the speed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_main, args=(theirs, limit, slowed), daemon=True)
    process.start()
    theirs.close()
    try:
        yield LimitedServer(f"http://127.0.0.1:{ours.recv()}/v1", ours)
    finally:
        ours.send(False)
        process.join(10)

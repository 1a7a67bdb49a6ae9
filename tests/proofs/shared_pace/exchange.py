"""An exchange under one limit for all, on the loop of the test; it keeps what arrived, when, from which session."""

import asyncio
import re
from collections.abc import Callable
from types import TracebackType
from typing import Self

from benchmarks.limit_servers import Arrival, Limit, Server
from benchmarks.server import Answers

__all__ = ["LimitedExchange"]

_BEARER = re.compile(rb"\r\nauthorization: Bearer ([^\r ]+)", re.IGNORECASE)
_RUN = re.compile(rb"/fielding-runs/([^/ ]+)")
_BODY = (
    b'{"id":"%s","status":"live","version":1,"start_fielding_at":"2026-01-01T00:00:00.000Z",'
    b'"end_fielding_at":"2031-01-01T00:00:00.000Z","last_changed_at":"2026-01-01T00:00:00.000Z",'
    b'"last_changed_by":"somebody"}'
)


class _Connection(Answers):
    def __init__(self, hit: Callable[[str], int | None]) -> None:
        super().__init__()
        self._hit = hit

    def answer(self, head: bytes) -> bytes:
        """Answer a GET of a run, or refuse it."""
        bearer, run = _BEARER.search(head), _RUN.search(head)
        assert bearer is not None
        assert run is not None
        retry_after = self._hit(bearer.group(1).decode())
        if retry_after is not None:
            return b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: %d\r\nContent-Length: 2\r\n\r\n{}" % retry_after
        body = _BODY % run.group(1)
        return b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: W/"1"\r\nContent-Length: %d\r\n\r\n%s' % (
            len(body),
            body,
        )


class LimitedExchange:
    """A server on a loopback port. Times are seconds of the loop's clock since it was started."""

    def __init__(self, limit: Limit) -> None:
        self._state = Server(limit)
        self._server: asyncio.Server | None = None
        self._began = 0.0

    @property
    def base_url(self) -> str:
        """The base URL."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    @property
    def arrivals(self) -> list[Arrival]:
        """What arrived, in order."""
        return self._state.arrivals

    @property
    def now(self) -> float:
        """Seconds since it was started."""
        return asyncio.get_running_loop().time() - self._began

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._server = await loop.create_server(lambda: _Connection(self._hit), "127.0.0.1", 0, backlog=1024)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _hit(self, client: str) -> int | None:
        return self._state.hit(self.now, client)

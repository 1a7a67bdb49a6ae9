"""Connections over asyncpg. It is loaded when the first connection is opened."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from typing import Any

import asyncpg as asyncpg_untyped  # pyright: ignore[reportMissingTypeStubs]

from fielding_async.core.errors import ConfigurationError

from .address import Address
from .connection import Row
from .copy_guard import CopyGuard
from .driver import Driver, DriverConnection

__all__ = ["AsyncpgDriver"]

asyncpg: Any = asyncpg_untyped

# parameters of libpq that asyncpg would pass on to the server, which refuses them
_LEFT_OUT = {
    *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "client_encoding"),
    *("tcp_user_timeout", "gssencmode", "fallback_application_name", "load_balance_hosts", "sslcompression"),
}
_UNKNOWN = {"channel_binding", "require_auth", "sslcertmode", "sslpassword", "hostaddr", "requiressl", "sslnegotiation"}
_CLOSE_SECONDS = 2.0
_ARRAYS = "SELECT $1::integer[], $2::bigint[], $3::text[], $4::bytea[], $5::boolean[], $6::double precision[]"


class _Connection(DriverConnection):
    def __init__(self, raw: Any, address: Address, seconds: float) -> None:
        super().__init__(address, seconds)
        self._raw = raw
        self._knows_arrays = False
        self._guard: CopyGuard | None = None

    async def _learn_arrays(self) -> None:
        """Have asyncpg ask the server for the types of lists, once.

        It sets `jit` to off for that, and back: behind a pooler, by two statements on two connections of the server.
        """
        await self._raw.execute("BEGIN")
        await self._raw.fetch(_ARRAYS, *([] for _ in range(_ARRAYS.count("$"))))
        await self._raw.execute("COMMIT")
        self._knows_arrays = True

    async def _fetch(self, sql: str, args: Sequence[Any]) -> list[Row]:
        if not (self._knows_arrays or self._in_transaction) and any(isinstance(value, list) for value in args):
            await self._learn_arrays()
        return [tuple(record) for record in await self._raw.fetch(sql, *args)]

    async def _run(self, sql: str) -> None:
        await self._raw.execute(sql)

    async def _copy(self, table: str, columns: Sequence[str], chunks: AsyncIterable[bytes]) -> None:
        guard = self._guard = CopyGuard(self._raw._transport)

        async def guarded() -> AsyncGenerator[bytes]:
            if await guard.may_write():
                async for chunk in chunks:
                    yield chunk
                    if not await guard.may_write():
                        break
            # asyncpg writes CopyDone first, and then waits for the server
            asyncio.get_running_loop().call_soon(guard.end)

        source = guarded()
        try:
            await self._raw.copy_to_table(table, source=source, columns=columns)
        finally:
            self._guard = None
            guard.end()
            await source.aclose()

    def is_closed(self) -> bool:
        closed: bool = self._raw.is_closed()
        return closed

    def _descriptor(self) -> int:
        transport = getattr(self._raw, "_transport", None)  # no public attribute leads to the socket
        socket = None if transport is None else transport.get_extra_info("socket")
        return -1 if socket is None else socket.fileno()

    def _cut(self) -> None:
        if self._guard is not None:
            self._guard.transport.abort()
        else:
            self._raw.terminate()

    async def _close(self) -> None:
        try:
            if not self._is_cut:
                await self._raw.close(timeout=_CLOSE_SECONDS)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pass
        finally:
            self._raw.terminate()


class AsyncpgDriver(Driver):
    """Opens connections over asyncpg."""

    async def _open(self) -> DriverConnection:
        address = self.address
        for name in sorted(_UNKNOWN & address.parameters.keys()):
            if (name, address.parameters[name]) not in {("channel_binding", "prefer"), ("channel_binding", "disable")}:
                raise ConfigurationError(
                    f"{address.shown}: asyncpg has no {name}, which the URL sets: leave it out, or pass"
                    ' driver="psycopg"'
                )
        settings = {} if "application_name" in address.parameters else {"application_name": "fielding-async"}
        raw = await asyncpg.connect(
            address.without(*_LEFT_OUT, *_UNKNOWN),
            timeout=address.connect_timeout,
            statement_cache_size=0,  # no prepared statement stays on the connection
            server_settings=settings,
        )
        return _Connection(raw, address, self.seconds)

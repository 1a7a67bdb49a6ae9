"""Connections over psycopg. It is loaded when the first connection is opened."""

import os
import re
import socket
from collections.abc import AsyncIterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import psycopg

from .address import Address
from .connection import Row
from .driver import Driver, DriverConnection

__all__ = ["PsycopgDriver"]

_PLACEHOLDER = re.compile(r"\$(\d+)")
_TIMESTAMPTZ = 1184


@lru_cache(maxsize=256)
def named(sql: str) -> bytes:
    """Return SQL with psycopg's placeholders in place of `$1`, `$2`, …"""
    return _PLACEHOLDER.sub(r"%(\1)s", sql.replace("%", "%%")).encode()


class _Connection(DriverConnection):
    def __init__(self, raw: "psycopg.AsyncConnection[Row]", address: Address, seconds: float) -> None:
        super().__init__(address, seconds)
        self._raw = raw

    async def _fetch(self, sql: str, args: Sequence[Any]) -> list[Row]:
        async with self._raw.cursor(binary=True) as cursor:
            await cursor.execute(named(sql), {str(place): value for place, value in enumerate(args, 1)})
            if cursor.description is None:
                return []
            rows = await cursor.fetchall()
            times = {place for place, column in enumerate(cursor.description) if column.type_code == _TIMESTAMPTZ}
            return [_in_utc(row, times) for row in rows] if times else rows

    async def _run(self, sql: str) -> None:
        await self._raw.execute(sql.encode())

    async def _copy(self, table: str, columns: Sequence[str], chunks: AsyncIterable[bytes]) -> None:
        sql = f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()
        async with self._raw.cursor() as cursor, cursor.copy(sql) as copy:
            async for chunk in chunks:
                await copy.write(chunk)

    def is_closed(self) -> bool:
        return self._raw.closed

    def _descriptor(self) -> int:
        return self._raw.fileno()

    def _cut(self) -> None:
        # not closed: the event loop may watch the descriptor
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self._raw.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)

    async def _close(self) -> None:
        with suppress(OSError, psycopg.Error):
            await self._raw.close()


def _in_utc(row: Row, times: set[int]) -> Row:
    return tuple(
        value.astimezone(UTC) if place in times and isinstance(value, datetime) else value
        for place, value in enumerate(row)
    )


class PsycopgDriver(Driver):
    """Opens connections over psycopg."""

    async def _open(self) -> DriverConnection:
        address = self.address
        raw = await psycopg.AsyncConnection.connect(
            address.without(),
            autocommit=True,  # transactions are begun and ended by statements
            prepare_threshold=None,  # no prepared statement stays on the connection
            client_encoding="utf8",
            fallback_application_name="fielding-async",
        )
        return _Connection(raw, address, self.seconds)

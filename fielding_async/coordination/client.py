"""The connection to Redis or Valkey: the only module that speaks to redis-py.

A script is called so, and this never raises for anything that the server or the network does::

    READ = Script("return redis.call('GET', KEYS[1])")
    value = await client.call(READ, keys=["…"], args=[])  # bytes, int, list or None

`None` means that there is no value, or that the store did not answer in time. A caller who must tell the two apart has
the script return a list. Whoever may not wait starts a task of its own, or asks `is_up` first: while the store is known
to be away, `call` returns at once.

A connection that fails, or does not answer within 0.3 seconds, makes the store count as away. The client then asks
again by itself, after waits that grow and are jittered, and calls what is in `on_change` each time that changes.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from hashlib import sha1
from typing import Any

from attrs import define, field

from fielding_async.telemetry.log_lines import warn_once

from .address import Address

__all__ = ["BOUND", "OLDEST", "Script", "StoreClient", "read_server"]

BOUND = 0.3
"""Seconds that one call waits for the store at most, name resolution and connecting included."""

OLDEST = (6, 2)
"""The lowest version of Redis that the tests run with. Valkey reports a version of Redis that it is compatible with."""

_MOST_CONNECTIONS = 4  # in use at once; further calls wait for one, within their bound
_HELD_UP = 0.01  # seconds, after which a reply that had come in time has been read
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # seconds until the store is asked again, before jitter
_NO_SCRIPT = "NOSCRIPT"
_WRITE = "return redis.call('SET', KEYS[1], '1', 'PX', 1000)"


@define(frozen=True, eq=False)
class Script:
    """A Lua script, which the server knows by its digest after the first call."""

    text: str
    digest: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "digest", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


class StoreClient:
    """The store as one session reaches it. Bound to one event loop; made on it, and closed on it.

    `uniform`: the source of jitter. `bound`: how many seconds one call waits for the store at most. `is_up`: whether
    the store answered when it was last asked; also before the first question. `server_id`: which server process
    answered last, if it says so: after another one may have taken over.
    """

    def __init__(
        self,
        address: Address,
        loop: asyncio.AbstractEventLoop,
        uniform: Callable[[float, float], float],
        probe_key: str = "fielding:probe",
        bound: float = BOUND,
    ) -> None:
        self._address = address
        self._probe_key = probe_key
        self._loop = loop
        self._uniform = uniform
        self.bound = bound
        self.is_up: bool = True
        self.server_id: bytes = b""
        self.on_change: dict[Callable[[], None], None] = {}
        """What is called when `is_up` has changed."""
        self._slots = asyncio.Semaphore(_MOST_CONNECTIONS)
        self._idle: list[Any] = []
        self._used: dict[Any, None] = {}
        self._wait = _FIRST_WAIT
        self._return: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.is_closed: bool = False

    # -- calls

    async def call(self, script: Script, *, keys: Iterable[str], args: Iterable[str | bytes | float]) -> Any:
        """Call a script, and return its reply: bytes, int, list or `None`; `None` as well if there is no reply.

        Waits for `bound` seconds at most. Never raises, but for a cancellation.
        """
        names = list(keys)
        values = [*names, *args]

        async def ask(connection: Any) -> Any:
            try:
                return await _command(connection, "EVALSHA", script.digest, len(names), *values)
            except Exception as error:
                if _NO_SCRIPT not in type(error).__name__.upper() and not str(error).startswith(_NO_SCRIPT):
                    raise
                return await _command(connection, "EVAL", script.text, len(names), *values)

        return await self._ask(ask, self.bound)

    async def command(self, *words: str | bytes | float, blocks: float = 0.0) -> Any:
        """Send one command. As `call` in everything else.

        `blocks`: how many seconds the command blocks at the server. The client waits so much longer than `bound`, and
        uses a connection all that time.
        """
        return await self._ask(lambda connection: _command(connection, *words), blocks + self.bound)

    def start(self, work: Awaitable[Any]) -> None:
        """Run something that ends with the client: a call whose reply nobody waits for."""
        task = asyncio.ensure_future(work, loop=self._loop)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, ask: Callable[[Any], Awaitable[Any]], seconds: float, *, returning: bool = False) -> Any:
        if self.is_closed or not (self.is_up or returning):
            return None
        connection: Any = None
        is_whole = False
        try:
            async with _bound(self._loop, seconds), self._slots:
                # one that was used before may have been closed by the server meanwhile
                connection = self._idle.pop() if self._idle else self._address.connection()
                self._used[connection] = None
                if not connection.is_connected:
                    await connection.connect()
                    self.server_id = await _server_id(connection)
                reply = await ask(connection)
                is_whole = True
        except Exception as error:  # noqa: BLE001 - redis-py raises errors of sockets, TLS and its own
            if connection is not None:  # otherwise it was our own calls that took all the time
                self._failed(error)
            return None
        finally:
            if connection is not None:
                self._used.pop(connection, None)
                if is_whole and not self.is_closed:
                    self._idle.append(connection)
                else:
                    _cut(connection)  # a reply may be under way on it
        if returning:
            return reply
        if not self.is_up:
            # another call has found it away meanwhile: who hears of that must not hear a reply afterwards
            return None
        self._wait = _FIRST_WAIT
        return reply

    # -- being away, and the way back

    def _failed(self, error: Exception) -> None:
        if self.is_closed:
            return
        if not isinstance(error, OSError | TimeoutError) and type(error).__name__ not in _USUAL:
            warn_once(
                f"the Redis of shared= cannot be used ({type(error).__name__}): check its address, user and"
                " permissions; until then each session paces itself"
            )
        self._cut_idle()
        if self.is_up:
            self.is_up = False
            self._changed()
        if self._return is None and not self.is_closed:
            self._return = self._loop.create_task(self._come_back(), name="fielding-async shared store")

    async def _come_back(self) -> None:
        while not self.is_up and not self.is_closed:
            await asyncio.sleep(self._uniform(self._wait / 2, self._wait))
            self._wait = min(self._wait * 2, _LONGEST_WAIT)
            found = await self._ask(self._write, self.bound, returning=True)
            if found is not None and not self.is_closed:
                self.is_up = True
        self._return = None
        if not self.is_closed:
            self._changed()

    async def _write(self, connection: Any) -> Any:
        # a replica, or a server whose memory is full, answers a PING and refuses each script
        return await _command(connection, "EVAL", _WRITE, 1, self._probe_key)

    def _changed(self) -> None:
        for observe in list(self.on_change):
            observe()

    # -- its end

    def _under_way(self) -> list[asyncio.Task[Any]]:
        return [*self._tasks, *([] if self._return is None else [self._return])]

    def _cut_idle(self) -> None:
        while self._idle:
            _cut(self._idle.pop())

    def close_now(self) -> None:
        """Cut all connections, and cancel what is in progress. Waits for nothing; may be called again."""
        self.is_closed = True
        with suppress(RuntimeError):  # of an event loop that is closed already
            for task in self._under_way():
                task.cancel()
        for connection in list(self._used):
            _cut(connection)
        self._cut_idle()

    async def aclose(self) -> None:
        """Close everything, and wait until all tasks have ended. Never raises, but for a cancellation."""
        self.close_now()
        if tasks := self._under_way():
            await asyncio.wait(tasks)
        await asyncio.sleep(0)  # for the transports that were closed


_USUAL = {"ConnectionError", "TimeoutError", "BusyLoadingError", "ReadOnlyError"}


@asynccontextmanager
async def _bound(loop: asyncio.AbstractEventLoop, seconds: float) -> AsyncGenerator[None]:
    """Raise `TimeoutError` after so many seconds.

    A reply that is there already is read first: an event loop that was held up says nothing of the store.
    """
    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(seconds, lambda: limit.reschedule(loop.time() + _HELD_UP))
        try:
            yield
        finally:
            timer.cancel()


async def _command(connection: Any, *words: Any) -> Any:
    await connection.send_command(*words)
    return await connection.read_response()


async def _server_id(connection: Any) -> bytes:
    """Return the id of the server process; empty if the user may not ask for it."""
    try:
        info = await _command(connection, "INFO", "server")
    except Exception as error:
        if isinstance(error, OSError | TimeoutError) or type(error).__name__ in _USUAL:
            raise
        return b""
    run_id, version = read_server(info if isinstance(info, bytes) else b"")
    if version and version < OLDEST:
        warn_once(
            f"the Redis of shared= has version {'.'.join(map(str, version))}; versions before"
            f" {'.'.join(map(str, OLDEST))} are not tested: use a newer Redis, or Valkey"
        )
    return run_id


def read_server(info: bytes) -> tuple[bytes, tuple[int, ...]]:
    """Return the id of the server process and its version from the reply to `INFO server`; empty if it has none."""
    parted = (line.partition(b":") for line in info.splitlines())
    fields = {name: value for name, _, value in parted}
    digits = fields.get(b"redis_version", b"").split(b".")
    version = tuple(map(int, digits)) if all(part.isdigit() for part in digits) else ()
    return fields.get(b"run_id", b""), version


def _cut(connection: Any) -> None:
    """Close a connection at once."""
    with suppress(Exception):
        connection._close()

"""Hints of runs in Redis or Valkey: what sessions of one scope have read, for ten minutes, each run under a key.

A key holds the newest hint that was offered, by version and then by the `Date` of its reply, and the ETag that was last
taken back: a GET in progress meanwhile may still offer it. All is written in scripts, each atomic, in the order
in which this session did it. What is taken back goes into a stream as well, which each session follows: it forgets a
pair of its own that has that ETag, and meets no conflict for it. Reads of calls that start together are one script as
well. What somebody else has put under such a key is no hint; a script that failed would make the whole store count as
away.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from attrs import define, field

from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.core.wire.replies import Response
from fielding_async.core.wire.run_hints import MAX_AGE, decode_hint, encode_hint

from .client import Script, StoreClient
from .scope import key

__all__ = ["RedisHints"]

_MOST_AT_ONCE = 64  # runs in one script: others may not wait for long
_MOST_WAITING = 4096  # what is to be written while the store is slow; beyond it is left out
_BLOCK = 5.0  # seconds that the server keeps a question for news
_FOLLOW_AGAIN = 1.0  # seconds until it is asked again after one that it could not answer
_TOMBSTONE = 60.0  # seconds for which an ETag that was taken back is not taken again: longer than a GET takes

_READ: Final = Script(
    """
    local now = redis.call('TIME')
    local ms = now[1] * 1000 + math.floor(now[2] / 1000)
    local found = {}
    for place, name in ipairs(KEYS) do
        local hint = redis.pcall('HMGET', name, 'text', 'stored')
        local stored = tonumber(hint[2])
        if hint[1] and stored then
            found[place] = {hint[1], math.max(0, ms - stored)}
        else
            found[place] = {}
        end
    end
    return found
    """
)

_WRITE: Final = Script(
    """
    local now = redis.call('TIME')
    local ms = now[1] * 1000 + math.floor(now[2] / 1000)
    local life, tombstone = tonumber(ARGV[1]), tonumber(ARGV[2])
    local stream = table.remove(KEYS, 1)
    if redis.call('TYPE', stream).ok ~= 'stream' then
        redis.call('DEL', stream)
    end
    for place, name in ipairs(KEYS) do
        local at = 3 + (place - 1) * 5
        local kind, etag = ARGV[at + 1], ARGV[at + 2]
        local known = redis.pcall('HMGET', name, 'etag', 'version', 'date', 'past')
        if known.err then
            redis.call('DEL', name)
            known = {}
        end
        if kind == 'offer' then
            local version, date = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
            local has, had = tonumber(known[2]) or -1, tonumber(known[3]) or -1
            if known[4] ~= etag and (has < version or (has == version and had <= date)) then
                redis.call('HSET', name, 'etag', etag, 'version', version, 'date', date, 'stored', ms,
                           'text', ARGV[at + 5])
                redis.call('PEXPIRE', name, life)
            end
        else
            if kind == 'drop all' then
                etag = known[1] or known[4] or ''
            end
            if known[1] == etag then
                redis.call('HDEL', name, 'etag', 'version', 'date', 'stored', 'text')
                redis.call('PEXPIRE', name, tombstone)
            end
            redis.call('HSET', name, 'past', etag)
            if redis.call('PTTL', name) < tombstone then
                redis.call('PEXPIRE', name, tombstone)
            end
            if kind == 'drop all' then
                etag = ''
            end
            redis.call('XADD', stream, 'MAXLEN', '~', 1024, '*', 'by', ARGV[3], 'run', ARGV[at + 5], 'etag', etag)
            redis.call('PEXPIRE', stream, tombstone)
        end
    end
    return 1
    """
)

_Written = tuple[str, str, str | int, str | int, str]
"""Of a run: what is done with its key, the ETag, the version and the date; the text of an offer, or else the ref."""


@define(eq=False)
class RedisHints:
    """The `RunHints` of one session."""

    client: StoreClient
    scope: str
    name: str
    """What tells this session from others in the stream."""
    _asked: dict[RunRef, asyncio.Future[FieldingRun | None]] = field(
        init=False, factory=dict[RunRef, "asyncio.Future[FieldingRun | None]"]
    )
    _to_write: list[tuple[RunRef, _Written]] = field(init=False, factory=list[tuple[RunRef, _Written]])
    _writing: bool = field(init=False, default=False)
    _idle: asyncio.Event = field(init=False, factory=asyncio.Event)

    async def get(self, ref: RunRef) -> FieldingRun | None:
        """Return a run, with its ETag, as another session read it; `None` if there is none. Never raises."""
        client = self.client
        if not client.is_up or client.is_closed:
            return None
        asked = self._asked.get(ref)
        if asked is None:
            loop = asyncio.get_running_loop()
            if not self._asked:
                loop.call_soon(self._read_soon)
            asked = self._asked[ref] = loop.create_future()
        return await asyncio.shield(asked)  # another call may wait for it, too

    def _read_soon(self) -> None:
        asked = list(self._asked.items())
        self._asked.clear()
        for first in range(0, len(asked), _MOST_AT_ONCE):
            self.client.start(self._read(asked[first : first + _MOST_AT_ONCE]))

    async def _read(self, asked: Sequence[tuple[RunRef, asyncio.Future[FieldingRun | None]]]) -> None:
        found: Any = None
        try:
            found = await self.client.call(_READ, keys=[self._key(ref) for ref, _ in asked], args=[])
        finally:
            values = cast("list[object]", found) if isinstance(found, list) else []
            shown = values if len(values) == len(asked) else [None] * len(asked)
            for (ref, future), hint in zip(asked, shown, strict=True):
                if not future.done():
                    future.set_result(_decoded(ref, hint))

    def offer(self, ref: RunRef, response: Response) -> None:
        """Hand the reply to a GET of the run to the other sessions. Returns at once."""
        if not self.client.is_up:
            return
        hint = encode_hint(ref, response)
        if hint is not None:
            self._write(ref, ("offer", hint.etag, hint.version, hint.at, hint.text))

    def drop(self, ref: RunRef, etag: str | None) -> None:
        """Take back what was offered under this ETag; `None`: whatever is there. Returns at once."""
        kind, past = ("drop all", "") if etag is None else ("drop", etag)
        self._write(ref, (kind, past, 0, 0, str(ref)))

    def _write(self, ref: RunRef, written: _Written) -> None:
        if self.client.is_closed or not self.client.is_up or len(self._to_write) >= _MOST_WAITING:
            return
        self._to_write.append((ref, written))
        if not self._writing:
            self._writing = True
            self._idle.clear()
            self.client.start(self._write_all())

    async def _write_all(self) -> None:
        try:
            while self._to_write:
                now, self._to_write = self._to_write[:_MOST_AT_ONCE], self._to_write[_MOST_AT_ONCE:]
                values = [value for _, written in now for value in written]
                keys = [self._stream, *(self._key(ref) for ref, _ in now)]
                life = [int(MAX_AGE * 1000), int(_TOMBSTONE * 1000)]
                await self.client.call(_WRITE, keys=keys, args=[*life, self.name, *values])
        finally:
            self._writing = False
            self._idle.set()

    async def aclose(self) -> None:
        """Wait, for a short time, until what was taken back has been written. Never raises, but for a cancellation."""
        if self._writing:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), self.client.bound)

    # -- what others take back

    def listen(self, forget: Callable[[RunRef, str | None], None]) -> None:
        """Call `forget` with each ETag that another session takes back; with `None` for whatever the ETag is."""
        self.client.start(self._follow(forget))

    async def _follow(self, forget: Callable[[RunRef, str | None], None]) -> None:
        last: bytes | str = "$"
        while not self.client.is_closed:
            if not self.client.is_up:
                await asyncio.sleep(_FOLLOW_AGAIN)
                continue
            asked = ("XREAD", "COUNT", 256, "BLOCK", int(_BLOCK * 1000), "STREAMS", self._stream, last)
            reply = await self.client.command(*asked, blocks=_BLOCK)
            match reply:
                case [[_, [*entries]]]:
                    for entry in entries:
                        last = self._heard(entry, forget) or last
                case None:
                    await asyncio.sleep(0)
                case _:
                    await asyncio.sleep(_FOLLOW_AGAIN)

    def _heard(self, entry: object, forget: Callable[[RunRef, str | None], None]) -> bytes | None:
        match entry:
            case [bytes(number), [bytes(), bytes(by), bytes(), bytes(run), bytes(), bytes(etag)]]:
                try:
                    if by.decode() != self.name:
                        forget(RunRef.parse(run.decode()), etag.decode() or None)
                except ValueError:  # not text, or no ref
                    pass
                return number
            case _:
                return None

    @property
    def _stream(self) -> str:
        return key(self.scope, "past")

    def _key(self, ref: RunRef) -> str:
        return key(self.scope, f"run:{ref}")


def _decoded(ref: RunRef, hint: object) -> FieldingRun | None:
    match hint:
        case [bytes(text), int(age)]:
            return decode_hint(ref, text, age / 1000)
        case _:
            return None

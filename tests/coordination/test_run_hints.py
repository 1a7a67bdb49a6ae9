"""Hints of runs in a real Redis: the newest is kept, a past one is not, and no call waits for the store."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import pytest_asyncio

from fielding_async import RunRef
from fielding_async.coordination.address import resolve_address
from fielding_async.coordination.client import StoreClient
from fielding_async.coordination.run_hints import RedisHints
from fielding_async.core.wire.replies import Response
from tests.tools.services import RedisServer
from tests.tools.sessions import REF
from tests.tools.waits import HANG

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
OTHER = RunRef(101, "0" * 26, "1" * 26, "another")


def reply(version: int, *, etag: str = "", date: datetime | None = None, **more: Any) -> Response:
    """Return the reply of a GET of the run."""
    dates = {"start_fielding_at": "2030-01-01T08:00:01.000Z", "end_fielding_at": "2031-01-31T08:00:01.005Z"}
    body = {"id": REF.fielding_run_id, "status": "live", "version": version, **dates, **more}
    headers = {"ETag": etag or f'"{version}"', **({} if date is None else {"Date": format_datetime(date, usegmt=True)})}
    return Response(200, headers, json.dumps(body).encode())


class Hints(RedisHints):
    """Hints whose writes can be awaited."""

    async def settle(self) -> None:
        while self._writing:
            await asyncio.sleep(0)

    async def etag(self, ref: RunRef = REF) -> str | None:
        """Return the ETag of the hint of a run, after what was written."""
        await self.settle()
        run = await self.get(ref)
        return None if run is None else run.etag


@pytest_asyncio.fixture
async def hints(redis_url: str) -> AsyncIterator[Hints]:
    client = StoreClient(
        resolve_address(redis_url, {}), asyncio.get_running_loop(), random.Random(1).uniform, bound=30.0
    )
    yield Hints(client, "scope", "one")
    await client.aclose()


async def test_a_hint_is_the_reply_with_its_etag(hints: Hints) -> None:
    """What one session offers another gets: status, dates, version and ETag, byte for byte."""
    assert await hints.get(REF) is None
    hints.offer(REF, reply(3, etag='W/"ö"', last_changed_by="somebody"))
    await hints.settle()
    run = await hints.get(REF)
    assert run is not None
    assert (run.etag, run.version, run.status, run.last_changed_by) == ('W/"ö"', 3, "live", None)


async def test_an_older_version_does_not_replace_a_newer_one(hints: Hints) -> None:
    """GETs may come back in another order than they were sent."""
    for version, wanted in ((3, 3), (2, 3), (4, 4)):
        hints.offer(REF, reply(version))
        assert await hints.etag() == f'"{wanted}"'


async def test_of_one_version_the_later_reply_is_kept(hints: Hints) -> None:
    """By the `Date` of the exchange: a run can change its status without a new version."""
    hints.offer(REF, reply(3, etag='"a"', date=NOON))
    hints.offer(REF, reply(3, etag='"b"', date=NOON - timedelta(seconds=1)))
    assert await hints.etag() == '"a"'
    hints.offer(REF, reply(3, etag='"c"', date=NOON + timedelta(seconds=1)))
    assert await hints.etag() == '"c"'


async def test_a_hint_is_taken_back_only_if_it_is_still_that_etag(hints: Hints) -> None:
    """What somebody else has read since stays."""
    hints.offer(REF, reply(3))
    hints.drop(REF, '"2"')
    assert await hints.etag() == '"3"'
    hints.drop(REF, '"3"')
    assert await hints.etag() is None


async def test_an_etag_that_was_taken_back_is_not_offered_again(hints: Hints) -> None:
    """A GET that was under way during the write shows what was before it."""
    hints.drop(REF, '"3"')
    hints.offer(REF, reply(3))
    assert await hints.etag() is None
    hints.offer(REF, reply(4))
    assert await hints.etag() == '"4"'


async def test_whatever_there_is_can_be_taken_back(hints: Hints) -> None:
    """A job changes runs without a known ETag; what was known of the run does not come back."""
    hints.offer(REF, reply(3))
    hints.drop(REF, None)
    hints.offer(REF, reply(3))
    assert await hints.etag() is None


async def test_runs_and_scopes_are_apart(hints: Hints) -> None:
    """A hint is of one run, in one scope."""
    hints.offer(REF, reply(3))
    await hints.settle()
    assert await hints.etag(OTHER) is None
    assert await Hints(hints.client, "other scope", "one").get(REF) is None


async def test_many_are_read_and_written_together(hints: Hints) -> None:
    """Hundreds of runs at once, some of them twice."""
    refs = [RunRef(101, "0" * 26, "1" * 26, f"run{number}") for number in range(300)]
    for ref in refs:
        hints.offer(ref, reply(1, id=ref.fielding_run_id))
    await hints.settle()
    found = await asyncio.gather(*(hints.get(ref) for ref in [*refs, *refs]))
    assert [run.id for run in found if run is not None] == [ref.fielding_run_id for ref in [*refs, *refs]]


async def test_a_hint_ends_after_ten_minutes(hints: Hints, redis_server: RedisServer) -> None:
    """Its key expires; and its age, by the clock of the server, is judged as well."""
    hints.offer(REF, reply(3))
    await hints.settle()
    name = hints._key(REF)
    assert 590_000 < int(str(redis_server.query("PTTL", name))) <= 600_000
    stored = int(str(redis_server.query("HGET", name, "stored")))
    redis_server.query("HSET", name, "stored", str(stored - 601_000))
    assert await hints.get(REF) is None


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "\x00", "[" * 9000, '{"format":2}', "x" * 100_000], ids=range(8)
)
async def test_junk_is_no_hint(hints: Hints, redis_server: RedisServer, text: str) -> None:
    """Whatever stands in the key, there is no error."""
    hints.offer(REF, reply(3))
    await hints.settle()
    redis_server.query("HSET", hints._key(REF), "text", text.replace("\x00", "zero"))
    assert await hints.get(REF) is None


async def test_a_hint_under_the_wrong_key_is_none(hints: Hints, redis_server: RedisServer) -> None:
    """The ref is in the value as well."""
    hints.offer(REF, reply(3))
    await hints.settle()
    text = str(redis_server.query("HGET", hints._key(REF), "text"))
    hints.offer(OTHER, reply(3, id="another"))
    await hints.settle()
    redis_server.query("HSET", hints._key(OTHER), "text", text)
    assert await hints.get(OTHER) is None


async def test_a_key_of_another_type_does_no_harm(hints: Hints, redis_server: RedisServer) -> None:
    """Somebody else's key is no hint; nothing raises."""
    redis_server.query("SET", hints._key(REF), "text")
    assert await hints.get(REF) is None
    hints.drop(REF, '"9"')
    hints.offer(REF, reply(3))
    assert await hints.etag() == '"3"'
    redis_server.query("HSET", hints._key(REF), "stored", "x", "version", "x", "date", "x")
    assert await hints.get(REF) is None
    hints.offer(REF, reply(2))
    assert await hints.etag() == '"2"'
    assert hints.client.is_up


async def test_a_store_that_is_away_is_not_waited_for(hints: Hints, redis_server: RedisServer) -> None:
    """Once it is known to be away a hint is `None` at once, and nothing piles up."""
    await asyncio.to_thread(redis_server.kill)
    assert await hints.get(REF) is None
    assert not hints.client.is_up
    for _ in range(100):
        hints.offer(REF, reply(3))
        hints.drop(REF, '"3"')
    assert hints._to_write == []
    assert await hints.get(REF) is None


async def test_a_caller_that_gives_up_leaves_the_others_alone(hints: Hints) -> None:
    """Calls on one run share a read; one that is cut off does not cut it off."""
    hints.offer(REF, reply(3))
    await hints.settle()
    first, second = asyncio.create_task(hints.get(REF)), asyncio.create_task(hints.get(REF))
    await asyncio.sleep(0)
    first.cancel()
    run = await second
    assert run is not None
    assert first.cancelled()


async def test_a_read_ends_with_the_client(hints: Hints, redis_server: RedisServer) -> None:
    """Closing the session leaves no call that waits for ever."""
    redis_server.pause()
    reading = asyncio.create_task(hints.get(REF))
    await asyncio.sleep(0)
    await hints.client.aclose()
    assert await reading is None


async def test_what_another_session_takes_back_is_heard(hints: Hints) -> None:
    """With its run and its ETag, in order; what a session takes back itself, it does not hear."""
    heard: asyncio.Queue[tuple[RunRef, str | None]] = asyncio.Queue()
    hints.listen(lambda ref, etag: heard.put_nowait((ref, etag)))
    other = Hints(hints.client, "scope", "another")
    ready = asyncio.Event()
    other.listen(lambda *_: ready.set())
    while not ready.is_set():  # until both follow the stream
        hints.drop(OTHER, '"0"')
        await hints.settle()
    other.drop(REF, '"3"')
    other.drop(OTHER, None)
    async with asyncio.timeout(HANG):
        assert [await heard.get(), await heard.get()] == [(REF, '"3"'), (OTHER, None)]


@pytest.mark.parametrize(
    "words", [("x", "y"), ("by", "b", "run", "no ref", "etag", "e"), ("a", "\udcff", "b", "c", "d", "e")]
)
async def test_junk_in_the_stream_is_passed_over(
    hints: Hints, redis_server: RedisServer, words: tuple[str, ...]
) -> None:
    """Whatever somebody else puts there, what comes after it is heard."""
    heard: asyncio.Queue[tuple[RunRef, str | None]] = asyncio.Queue()
    hints.listen(lambda ref, etag: heard.put_nowait((ref, etag)))
    other = Hints(hints.client, "scope", "another")
    async with asyncio.timeout(HANG):
        while heard.empty():
            redis_server.query("XADD", hints._stream, "*", *(word.replace("\udcff", "?") for word in words))
            other.drop(REF, '"3"')
            await other.settle()
        assert await heard.get() == (REF, '"3"')


async def test_what_was_taken_back_last_is_written_before_the_end(hints: Hints) -> None:
    """A program that acts once and ends leaves no hint behind that is past."""
    hints.offer(REF, reply(3))
    await hints.settle()
    hints.drop(REF, '"3"')
    await hints.aclose()
    assert await hints.get(REF) is None
    assert hints._to_write == []

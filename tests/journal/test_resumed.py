"""How a journal is resumed: long lines, other formats, deleted files, options and sessions that change."""

import asyncio
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from fielding_async import (
    Action,
    ConfigurationError,
    Done,
    FieldingSession,
    JournalError,
    OutcomeUnknownError,
    Pause,
    Resume,
    RunRef,
    SessionClosedError,
    Update,
    read_journal,
)
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.journal.chain import Head, group_bytes
from fielding_async.journal.lines import intent_line, row_digest
from fielding_async.journal.reader import read_lines
from fielding_async.journal.replay import Replay, read_binding
from fielding_async.journal.values import Binding
from fielding_async.sandbox import Cut, Sandbox
from tests.tools import virtual_time
from tests.tools.batches import performed
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk, MemoryStorage
from tests.tools.journal_lives import one_process
from tests.tools.journal_text import WRITTEN, journal_text, leave_head
from tests.tools.sessions import END, applied, run_value, sent, session

Rows = list[tuple[RunRef, Action]]


# -- the file


async def test_no_digest_of_a_plan_is_too_long_to_be_read_again(sandbox: Sandbox, path: Path) -> None:
    """A plan= that would make a first line longer than is read is refused at the call, and no record is lost."""
    with pytest.raises(ConfigurationError, match="plan"):
        await performed(sandbox, [], path, plan="x" * (1 << 20))
    assert not path.exists()
    rows: Rows = [(sandbox.add_run(status="live"), Pause())]
    assert len(await performed(sandbox, rows, path, plan="\N{SNOWMAN}" * 1000)) == 1
    assert await performed(sandbox, rows, path, plan="\N{SNOWMAN}" * 1000) == []


async def test_a_first_line_without_end_is_never_emptied(sandbox: Sandbox, path: Path) -> None:
    """What begins like a journal and is longer than any first line is refused, and not changed by a byte."""
    content = b'{"fielding_journal":1,"base_url":"' + b"x" * (3 << 20)
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="first line is incomplete"):
        await performed(sandbox, [], path)
    assert path.read_bytes() == content


async def test_a_line_of_megabytes_is_read_whole(sandbox: Sandbox, path: Path) -> None:
    """A write under an ETag, or on a run, whose texts have no end is gone on with like any other."""
    ref = sandbox.add_run(status="live")
    base = run_value(id=ref.fielding_run_id, etag='W/"older"', last_changed_by="\N{SNOWMAN}" * (1 << 19))
    intent = intent_line(0, row_digest(ref, Pause()), Pause(), base)
    assert len(intent) > 3 << 20
    binding = Binding(sandbox.url, "2025-12-18", None)
    path.write_bytes(journal_text(binding, [intent]))
    leave_head(path, Head(0, ""))
    assert read_journal(path).counts.in_flight == 1
    before = path.read_bytes()
    (done,) = await performed(sandbox, [(ref, Pause())], path)
    assert path.read_bytes().startswith(before)
    assert dict(sent(sandbox, "pause")[0].headers)["If-Match"] == base.etag
    assert isinstance(done.error, OutcomeUnknownError)  # it was sent under an ETag that was never the run's


@pytest.mark.parametrize(
    "line", [b'{"note":1}\n', b'{"intent":0,"row":"00000005","action":"archive"}\n', b'{"commit":Infinity}\n', b"[]\n"]
)
async def test_a_record_of_another_kind_is_refused_and_not_cut(sandbox: Sandbox, path: Path, line: bytes) -> None:
    """A whole line that says something unknown was not torn by a crash: it is named, nothing is cut, nothing sent."""
    ref = sandbox.add_run(status="live")
    await performed(sandbox, [(ref, Pause())], path)
    replay = Replay()
    for _ in read_lines(os.open(path, os.O_RDONLY), "journal", replay):
        pass
    group, _ = group_bytes(replay.commits + 1, WRITTEN, [line], replay.digest)
    content = path.read_bytes() + group
    path.write_bytes(content)
    before = len(sandbox.requests)
    with pytest.raises(ConfigurationError, match=f"line {content.count(bytes([10]))} .*(newer version|is missing)"):
        await performed(sandbox, [(ref, Pause())], path)
    with pytest.raises(ConfigurationError, match=r"newer version|is missing"):
        read_journal(path)
    assert path.read_bytes() == content
    assert len(sandbox.requests) == before


def test_a_first_line_too_deep_to_be_read_is_no_journal() -> None:
    """Brackets without end are refused like any other junk."""
    with pytest.raises(ConfigurationError, match="not a journal"):
        read_binding(b'{"fielding_journal":' + b"[" * 200_000 + b"\n")


async def test_the_mode_of_what_is_no_journal_is_left_alone(sandbox: Sandbox, path: Path) -> None:
    """Somebody else's file is refused, and can be read by whoever could read it before."""
    path.write_text("account_id\n", encoding="ascii")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="not a journal"):
        await performed(sandbox, [], path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_journal_that_grows_while_it_is_read_is_not_damaged(path: Path) -> None:
    """A reader that comes to half of a line, as the writer is about to write the rest, ends there."""
    intents = [intent_line(number, 5, Pause(), run_value()) for number in range(2)]
    whole = journal_text(Binding("u", "v"), intents[:1], intents[1:])
    torn = whole.index(b"\n", whole.index(b'"intent":0')) - 10
    path.write_bytes(whole[:torn])
    replay = Replay()
    fd = os.open(path, os.O_RDONLY)
    try:
        lines = read_lines(fd, "journal", replay)
        for _ in range(2):
            next(lines)
        with path.open("ab") as file:
            file.write(whole[torn:])
        assert list(lines) == []
    finally:
        os.close(fd)
    assert replay.commits == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system whose processes inherit files")
async def test_a_child_of_this_process_does_not_keep_the_lock(sandbox: Sandbox, path: Path) -> None:
    """A process that was forked in the midst of a batch, and lives on, keeps nobody from resuming the journal."""
    rows: Rows = [(sandbox.add_run(status="live"), Pause())]
    copies: list[int] = []

    def forking() -> Iterator[tuple[RunRef, Action]]:
        for fd in [int(one.name) for one in Path("/dev/fd").iterdir()]:
            try:
                if os.path.samestat(os.fstat(fd), path.stat()):
                    copies.append(os.dup(fd))  # what a fork does to it
            except OSError:
                continue
        yield from rows

    assert len(await performed(sandbox, forking(), path)) == 1
    assert copies
    try:
        assert await performed(sandbox, rows, path) == []
    finally:
        for fd in copies:
            os.close(fd)


async def test_a_journal_that_is_deleted_in_the_midst_ends_the_batch(sandbox: Sandbox, path: Path) -> None:
    """What is written to a file that nobody can find again is not on record: nothing more is sent."""
    rows: Rows = [(sandbox.add_run(status="live"), Pause()) for _ in range(30)]
    found: list[Done] = []

    async def consume() -> None:
        async with session(sandbox) as fielding, fielding.perform_all(rows, journal=path, concurrency=2) as batch:
            async for done in batch:
                found.append(done)
                path.unlink(missing_ok=True)

    with pytest.raises(JournalError, match="was deleted"):
        await consume()
    assert len(applied(sandbox)) < 10
    assert len([done for done in found if done.error is None]) == len(applied(sandbox))


@pytest.mark.parametrize(
    ("started", "resumed", "is_same"),
    [
        ("https://api.cint.com/v1", "HTTPS://API.Cint.com/v1", True),
        ("https://API.cint.com:443/v1", "https://api.cint.com/v1/", True),
        ("http://localhost:80/v1", "http://LOCALHOST/v1", True),
        ("http://[::1]:80/v1", "http://[::1]/v1", True),
        ("https://api.cint.com/v1", "https://api.cint.com/V1", False),
        ("https://api.cint.com/v1", "https://api.cint.com:80/v1", False),
        ("https://api.cint.com/v1", "https://api.cint.com:8443/v1", False),
        ("http://localhost:443/v1", "http://localhost/v1", False),
    ],
)
async def test_an_exchange_is_the_same_however_its_host_is_spelled(
    path: Path, started: str, resumed: str, is_same: bool
) -> None:
    """Case of scheme and host, and the port of the scheme, make no other exchange; path and other ports do."""
    async with session_on(FakeExchange(), base_url=started) as fielding, fielding.perform_all([], journal=path):
        pass
    expected = nullcontext() if is_same else pytest.raises(ConfigurationError, match="another exchange")
    async with session_on(FakeExchange(), base_url=resumed) as fielding:
        with expected:
            async with fielding.perform_all([], journal=path):
                pass


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EACCES])
async def test_a_folder_that_cannot_be_synced_is_no_obstacle(
    sandbox: Sandbox, path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Some file systems do not sync folders: a journal begins there as it is resumed there."""

    def refuse(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    assert len(await performed(sandbox, [(sandbox.add_run(status="live"), Pause())], path)) == 1


# -- resumed with other options


@pytest.mark.parametrize("on_row_failure", ["skip", "continue"])
def test_a_row_that_is_still_in_flight_is_not_overtaken(on_row_failure: str) -> None:
    """Where nothing could be learned of a row, those behind it on its run wait for another process, with any option."""

    class ForbidsGets(FakeExchange):
        down = True

        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            answer = super().answer(outgoing, name, action)
            return Response(403, {}, b"{}") if self.down and action == "get" else answer

    exchange, disk = ForbidsGets(), Disk()
    rows: Rows = [(ref_of(1), Pause()), (ref_of(1), Update(end_fielding_at=END))]
    base = run_value(id="run1", etag='W/"1"', version=1)
    intent = intent_line(0, row_digest(*rows[0]), Pause(), base)
    disk.data = journal_text(Binding("https://fake.invalid/v1", "2025-12-18"), [intent])
    exchange.run("run1")["version"] = 2  # by a colleague
    found = {done.number: done for done in one_process(disk, exchange, rows, on_row_failure=on_row_failure)}
    assert found.keys() == {0}  # no GET works: the batch stops
    assert isinstance(found[0].error, OutcomeUnknownError)
    assert found[0].is_open
    assert exchange.times(1) == 0
    exchange.down = False
    later = one_process(disk, exchange, rows, on_row_failure=on_row_failure)
    assert [done.result().effect for done in later] == ["accepted", "accepted"]
    assert exchange.applied == [("run1", "pause"), ("run1", "update")]


# -- sessions and readers


def test_a_session_closed_while_the_journal_is_read_is_reported_at_once() -> None:
    """Entering raises, no row is taken, and the journal is unlocked."""
    taken: list[int] = []

    class SlowStorage(MemoryStorage):
        closed = False

        async def load(self, binding: Binding, replay: Replay) -> None:
            await asyncio.sleep(1)
            await super().load(binding, replay)

        def close(self) -> "asyncio.Future[None]":
            SlowStorage.closed = True
            return super().close()

    def rows() -> Iterator[tuple[RunRef, Action]]:
        for number in range(100):
            taken.append(number)
            yield ref_of(number), Pause()

    async def main() -> None:
        async with session_on(FakeExchange()) as fielding:
            closing = asyncio.create_task(close(fielding))
            context = perform_all(fielding, rows(), Options(), storage=lambda: SlowStorage(Disk()))
            with pytest.raises(SessionClosedError):
                await context.__aenter__()
            await closing

    async def close(fielding: FieldingSession) -> None:
        await asyncio.sleep(0.5)
        await fielding.aclose()

    virtual_time.run(main())
    assert not taken
    assert SlowStorage.closed


async def test_the_journal_of_a_lost_reply_can_be_read_while_it_is_written(sandbox: Sandbox, path: Path) -> None:
    """What is yielded, what is on record and what the journal counts are the same at every row."""
    rows: Rows = [(sandbox.add_run(status="live"), Pause()) for _ in range(20)]
    sandbox.script(Cut("after"), on="pause")
    yielded = 0
    async with session(sandbox) as fielding, fielding.perform_all(rows, journal=path, concurrency=3) as batch:
        async for _ in batch:
            yielded += 1
            assert read_journal(path).counts.ended >= yielded
    assert len(applied(sandbox)) == 20


def test_a_row_is_not_skipped_for_a_later_one() -> None:
    """A bad row behind one that is still in flight is not on record before it: it cannot stop what comes before."""

    class ForbidsAll(FakeExchange):
        down = True

        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            return Response(403, {}, b"{}") if self.down else super().answer(outgoing, name, action)

    exchange, disk = ForbidsAll(), Disk()
    rows: Rows = [(ref_of(1), Pause()), (ref_of(1), Resume()), (ref_of(1), Update())]
    base = run_value(id="run1", etag='W/"1"', version=1)
    intent = intent_line(0, row_digest(*rows[0]), Pause(), base)
    disk.data = journal_text(Binding("https://fake.invalid/v1", "2025-12-18"), [intent])
    first = one_process(disk, exchange, rows)
    assert [(done.number, type(done.error), done.is_open) for done in first] == [(0, OutcomeUnknownError, True)]
    exchange.down = False
    second = one_process(disk, exchange, rows)
    assert [done.error and type(done.error) for done in second] == [None, None, ConfigurationError]
    assert exchange.applied == [("run1", "pause"), ("run1", "resume")]
    assert one_process(disk, exchange, rows) == []

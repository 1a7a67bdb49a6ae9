"""What is on record and how it is gone on with: limits of lines, other formats, options that change, odd rows."""

import asyncio
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import astuple, frozen

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
    SkippedError,
    Update,
    journal_rows,
    read_journal,
)
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from fielding_async.core.actions import StatusAction
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.journal.lines import commit_line, header_line, intent_line, row_digest
from fielding_async.journal.reader import read_lines
from fielding_async.journal.replay import DamagedError, Replay, read_binding
from fielding_async.journal.values import Binding
from fielding_async.sandbox import Cut, Sandbox
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk, MemoryStorage
from tests.tools.sessions import END, applied, run_value, sent, session

Rows = list[tuple[RunRef, Action]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.journal"


async def performed(box: Sandbox, rows: Any, path: Path, **arguments: Any) -> list[Done]:
    async with session(box) as fielding, fielding.perform_all(rows, journal=path, **arguments) as batch:
        return [done async for done in batch]


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
    path.write_bytes(header_line(binding) + commit_line(1) + intent + commit_line(2))
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
    content = path.read_bytes() + commit_line(9) + line
    path.write_bytes(content)
    before = len(sandbox.requests)
    with pytest.raises(ConfigurationError, match=f"line {content.count(bytes([10]))} .*newer version"):
        await performed(sandbox, [(ref, Pause())], path)
    with pytest.raises(ConfigurationError, match="newer version"):
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
    group = commit_line(1) + intent_line(0, 5, Pause(), run_value())
    path.write_bytes(header_line(Binding("u", "v")) + group[:-10])
    replay = Replay()
    fd = os.open(path, os.O_RDONLY)
    try:
        lines = read_lines(fd, "journal", replay)
        for _ in range(3):
            next(lines)
        with path.open("ab") as file:
            file.write(group[-10:] + commit_line(2) + intent_line(1, 5, Pause(), run_value()))
        assert list(lines) == []
    finally:
        os.close(fd)
    assert replay.commits == 1


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
    ("begun", "resumed", "is_same"),
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
    path: Path, begun: str, resumed: str, is_same: bool
) -> None:
    """Case of scheme and host, and the port of the scheme, make no other exchange; path and other ports do."""
    async with session_on(FakeExchange(), base_url=begun) as fielding, fielding.perform_all([], journal=path):
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


# -- lives with other options


def one_life(disk: Disk, exchange: FakeExchange, rows: Rows, **options: Any) -> list[Done]:
    async def main() -> list[Done]:
        async with session_on(exchange) as fielding:
            context = perform_all(fielding, rows, Options(**options), storage=lambda: MemoryStorage(disk))
            async with context as batch:
                return [done async for done in batch]

    return virtual_time.run(main())


@pytest.mark.parametrize("on_row_failure", ["skip", "continue"])
def test_a_row_that_is_still_in_flight_is_not_overtaken(on_row_failure: str) -> None:
    """Where nothing could be learnt of a row, those behind it on its run wait for another life, whatever the option."""

    class Blind(FakeExchange):
        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            answer = super().answer(outgoing, name, action)
            return Response(403, {}, b"{}") if self.requests["get"] == 1 and action == "get" else answer

    exchange, disk = Blind(), Disk()
    rows: Rows = [(ref_of(1), Pause()), (ref_of(1), Update(end_fielding_at=END))]
    base = run_value(id="run1", etag='W/"1"', version=1)
    disk.data = header_line(Binding("https://fake.invalid/v1", "2025-12-18"))
    disk.data += commit_line(1) + intent_line(0, row_digest(*rows[0]), Pause(), base)
    exchange.run("run1")["version"] = 2  # by a colleague
    found = {done.number: done for done in one_life(disk, exchange, rows, on_row_failure=on_row_failure)}
    assert isinstance(found[0].error, OutcomeUnknownError)
    assert isinstance(found[1].error, SkippedError)
    assert exchange.times(1) == 0
    later = one_life(disk, exchange, rows, on_row_failure=on_row_failure)
    assert [done.result().effect for done in later] == ["accepted", "accepted"]
    assert exchange.applied == [("run1", "pause"), ("run1", "update")]


# -- rows and sessions


def test_a_session_closed_while_the_journal_is_read_is_told_at_once() -> None:
    """Entering raises, no row is taken, and the journal is unlocked."""
    taken: list[int] = []

    class Slow(MemoryStorage):
        closed = False

        async def load(self, binding: Binding, replay: Replay) -> None:
            await asyncio.sleep(1)
            await super().load(binding, replay)

        def close(self) -> "asyncio.Future[None]":
            Slow.closed = True
            return super().close()

    def rows() -> Iterator[tuple[RunRef, Action]]:
        for number in range(100):
            taken.append(number)
            yield ref_of(number), Pause()

    async def main() -> None:
        async with session_on(FakeExchange()) as fielding:
            closing = asyncio.create_task(close(fielding))
            context = perform_all(fielding, rows(), Options(), storage=lambda: Slow(Disk()))
            with pytest.raises(SessionClosedError):
                await context.__aenter__()
            await closing

    async def close(fielding: FieldingSession) -> None:
        await asyncio.sleep(0.5)
        await fielding.aclose()

    virtual_time.run(main())
    assert not taken
    assert Slow.closed


class Archive(StatusAction):
    name: ClassVar[str] = "archive"
    target: ClassVar[str] = "archived"


async def test_an_action_of_the_callers_own_is_a_bad_row(sandbox: Sandbox, path: Path) -> None:
    """What is no action of the exchange is told as such, and never put on record as a write in flight."""
    rows: Rows = [(sandbox.add_run(status="live"), Archive())]
    (done,) = await performed(sandbox, rows, path)
    assert isinstance(done.error, ConfigurationError)
    assert not sandbox.requests
    assert read_journal(path).counts.failed == 1


class Unspeakable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize("pair", [(ref_of(1), Unspeakable()), Unspeakable(), (Unspeakable(), Pause())])
def test_a_row_that_cannot_even_be_named_ends_the_input(pair: Any) -> None:
    """What its repr raises comes out of the iteration after the rows before it; nothing hangs and nothing is lost."""
    exchange = FakeExchange()

    async def main() -> list[Done]:
        found: list[Done] = []

        async def consume() -> None:
            async with session_on(exchange) as fielding:
                rows: Any = [(ref_of(0), Pause()), pair, (ref_of(2), Pause())]
                async with perform_all(fielding, rows, Options()) as batch:
                    found.extend([done async for done in batch])

        with pytest.raises(ZeroDivisionError):
            await consume()
        return found

    virtual_time.run(main())
    assert exchange.times(0) == 1


async def test_strange_texts_survive(sandbox: Sandbox, path: Path) -> None:
    """Ids, messages and ETags of any characters are on record as they are, and the journal stays readable."""
    names = ["r\N{SNOWMAN}n", "x" * 4000, "\N{GRINNING FACE}" * 3, '"quoted"', "a:b@c;d,e", "{}"]
    rows: Rows = [(RunRef(101, "0" * 26, "1" * 26, name), Pause()) for name in names]
    found = await performed(sandbox, rows, path)
    assert all(done.error is not None for done in found)
    assert [
        row.ref and row.ref.fielding_run_id for row in sorted(journal_rows(path), key=lambda row: row.number)
    ] == names
    assert await performed(sandbox, rows, path) == []
    assert read_journal(path).counts.failed == len(names)


def test_damage_is_named_before_anything_is_fed_further() -> None:
    """A whole record that is none raises from the line itself, not from a group behind it."""
    replay = Replay()
    with pytest.raises(DamagedError, match="line 2"):
        replay.feed(b'{"note":1}\n')


async def test_a_lost_reply_is_not_lost_on_whoever_reads_the_journal_meanwhile(sandbox: Sandbox, path: Path) -> None:
    """What is yielded, what is on record and what the journal counts are the same at every row."""
    rows: Rows = [(sandbox.add_run(status="live"), Pause()) for _ in range(20)]
    sandbox.script(Cut("after"), on="pause")
    told = 0
    async with session(sandbox) as fielding, fielding.perform_all(rows, journal=path, concurrency=3) as batch:
        async for _ in batch:
            told += 1
            assert read_journal(path).counts.ended >= told
    assert len(applied(sandbox)) == 20


def test_without_a_journal_nobody_is_waited_for() -> None:
    """Behind a row that broke in an unforeseen way those of its run go on, if they are to, as no life comes after."""

    class Broken(FakeExchange):
        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            if not self.requests:
                self.requests["broken"] += 1
                raise ZeroDivisionError
            return super().answer(outgoing, name, action)

    async def main() -> list[Done]:
        async with session_on(Broken()) as fielding:
            rows: Rows = [(ref_of(1), Pause()), (ref_of(1), Pause())]
            async with perform_all(fielding, rows, Options(on_row_failure="continue")) as batch:
                return [done async for done in batch]

    first, second = virtual_time.run(main())
    assert isinstance(first.error, ZeroDivisionError)
    assert second.result().effect == "accepted"


def test_a_row_is_not_skipped_for_a_later_one() -> None:
    """A bad row behind one that is still in flight is not on record before it: it cannot stop what comes before."""

    class Down(FakeExchange):
        down = True

        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            return Response(403, {}, b"{}") if self.down else super().answer(outgoing, name, action)

    exchange, disk = Down(), Disk()
    rows: Rows = [(ref_of(1), Pause()), (ref_of(1), Resume()), (ref_of(1), Update())]
    disk.data = header_line(Binding("https://fake.invalid/v1", "2025-12-18"))
    base = run_value(id="run1", etag='W/"1"', version=1)
    disk.data += commit_line(1) + intent_line(0, row_digest(*rows[0]), Pause(), base)
    first = one_life(disk, exchange, rows)
    assert [type(done.error) for done in first] == [OutcomeUnknownError, SkippedError, ConfigurationError]
    exchange.down = False
    second = one_life(disk, exchange, rows)
    assert [done.error and type(done.error) for done in second] == [None, None, ConfigurationError]
    assert exchange.applied == [("run1", "pause"), ("run1", "resume")]
    assert one_life(disk, exchange, rows) == []


@frozen
class Labelled(RunRef):
    """A ref that carries something of its caller's."""

    label: str = ""


def test_a_run_is_one_run_whatever_its_ref_carries() -> None:
    """Refs of a class of the caller's own share the lane of their run, and come back as they were given."""
    exchange = FakeExchange()
    exchange.refuse["run1"] = 403
    plain = ref_of(1)
    refs = [Labelled(101, plain.project_id, plain.target_group_id, "run1", label) for label in "ab"]
    rows: Rows = [(plain, Pause()), *((ref, Pause()) for ref in refs)]
    found = sorted(one_life(Disk(), exchange, rows), key=lambda done: done.number)
    assert [done.ref for done in found] == [plain, *refs]
    assert [isinstance(done.error, SkippedError) for done in found] == [False, True, True]
    assert exchange.requests["pause"] == 1


class Stamp(datetime):
    """A datetime that knows of nanoseconds, as those of data frames do: it equals none without."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stamp) and super().__eq__(other)

    __hash__ = datetime.__hash__


def test_a_date_is_what_is_sent_of_it() -> None:
    """An update made with a finer kind of datetime is there once the run has the milliseconds that were sent."""
    update = Update(end_fielding_at=Stamp(2031, 1, 31, 8, 0, 1, 5999, tzinfo=UTC))
    assert update == Update(end_fielding_at=datetime(2031, 1, 31, 8, 0, 1, 5000, tzinfo=UTC))
    (done,) = one_life(Disk(), FakeExchange(), [(ref_of(1), update)])
    assert done.result().effect == "already"


class Project(str, Enum):  # noqa: UP042 - what older code has
    MINE = "0" * 26


def test_an_id_is_what_it_equals() -> None:
    """A member of an enumeration of texts goes out as its text."""
    exchange = FakeExchange()
    plain = ref_of(1)
    odd = RunRef(101, Project.MINE, plain.target_group_id, plain.fielding_run_id)
    urls: list[str] = []

    class Listening(FakeExchange):
        async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
            urls.append(outgoing.url)
            return await super().send(outgoing, timeout=timeout, connect_timeout=connect_timeout)

    exchange = Listening()
    one_life(Disk(), exchange, [(odd, Pause())])
    assert all(f"/projects/{'0' * 26}/" in url for url in urls)
    assert urls


def test_the_ids_of_handles_are_plain() -> None:
    """So it is wherever an id is taken."""
    project = FieldingSession("token").project(101, Project.MINE)
    run = project.target_group(Project.MINE).run(Project.MINE)
    assert {type(each) for each in (project.project_id, *astuple(run.ref)[1:])} == {str}

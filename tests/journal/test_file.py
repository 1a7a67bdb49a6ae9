"""The journal on disk: bound, locked, private, resumed, and honest about a disk that is full."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fielding_async import (
    Action,
    Batch,
    Complete,
    ConfigurationError,
    Done,
    FieldingSession,
    InvalidRunStateError,
    Pause,
    Resume,
    RunRef,
    SkippedError,
    journal_rows,
    read_journal,
)
from fielding_async.journal.chain import Head, group_bytes
from fielding_async.journal.file_storage import FileStorage
from fielding_async.journal.replay import Replay
from fielding_async.journal.values import Binding
from fielding_async.sandbox import Sandbox
from tests.tools.journal_text import WRITTEN, leave_head
from tests.tools.sessions import TOKEN, applied, session
from tests.tools.waits import HANG

pytestmark = pytest.mark.once

Rows = list[tuple[RunRef, Action]]


def rows_on_new_runs(sandbox: Sandbox, count: int = 20, *actions: Action) -> Rows:
    refs = [sandbox.add_run(status="live") for _ in range(count)]
    return [(ref, action) for action in actions or (Pause(),) for ref in refs]


async def performed(fielding: FieldingSession, rows: Any, path: Path, **arguments: Any) -> list[Done]:
    async with fielding.perform_all(rows, journal=path, **arguments) as batch:
        return [done async for done in batch]


async def test_a_finished_batch_is_passed_over(sandbox: Sandbox, path: Path) -> None:
    """Run again with the same rows nothing is sent, nothing is yielded, and the counts are known."""
    rows = rows_on_new_runs(sandbox, 20, Pause(), Resume())
    async with session(sandbox) as fielding:
        assert len(await performed(fielding, rows, path)) == 40
        before = len(sandbox.requests)
        async with fielding.perform_all(rows, journal=str(path)) as batch:
            assert [done async for done in batch] == []
            assert (batch.passed, batch.taken, batch.earlier.done) == (40, 40, 40)
    assert len(sandbox.requests) == before
    assert len(applied(sandbox)) == 40
    summary = read_journal(path)
    assert (summary.base_url, summary.plan, summary.counts.ended) == (sandbox.url, None, 40)
    assert summary.outcomes == {("pause", "accepted"): 20, ("resume", "accepted"): 20}
    assert list(journal_rows(path)) == []


async def test_a_batch_that_was_left_is_resumed(sandbox: Sandbox, path: Path) -> None:
    """What was done is not done again, what was drained counts as done, the rest is performed."""
    rows = rows_on_new_runs(sandbox, 50, Pause(), Resume())
    async with session(sandbox) as fielding:
        async with fielding.perform_all(rows, journal=path, concurrency=4) as batch:
            for _ in range(30):
                await anext(batch)
        first = batch.taken
        later = await performed(fielding, rows, path)
    assert len(later) == 100 - rows_ended(first, batch)
    assert Counter(applied(sandbox)) == {"pause": 50, "resume": 50}
    assert read_journal(path).counts.done == 100


def rows_ended(taken: int, batch: Batch) -> int:
    """Return how many rows had ended when the batch was left."""
    return taken - sum(row.state == "never sent" for row in batch.leftover)


async def test_failures_are_final_and_skips_follow_from_them(sandbox: Sandbox, path: Path) -> None:
    """A row that failed is not tried again; a later row of its run is skipped also by whoever resumes."""
    refs = [sandbox.add_run(status="completed") for _ in range(3)]
    rows: Rows = [(ref, action) for action in (Pause(), Complete()) for ref in refs]
    async with session(sandbox) as fielding:
        async with fielding.perform_all(rows, journal=path, concurrency=1) as batch:
            done = await anext(batch)
            batch.stop()
        assert isinstance(done.error, InvalidRunStateError)
        later = await performed(fielding, rows, path)
    assert [type(done.error) for done in later if done.ref == refs[0]] == [SkippedError]
    counts = read_journal(path).counts
    assert (counts.failed, counts.skipped, counts.done) == (3, 3, 0)
    listed = list(journal_rows(path))
    assert [row.state for row in listed].count("failed") == 3
    assert {row.ref for row in listed} == set(refs)
    assert all("422" in row.message for row in listed if row.state == "failed")


async def test_bad_rows_are_on_record_too(sandbox: Sandbox, path: Path) -> None:
    """A bad row has failed finally, and keeps its place."""
    rows: Any = [*rows_on_new_runs(sandbox, 2), ("no ref", Pause()), *rows_on_new_runs(sandbox, 2)]
    async with session(sandbox) as fielding:
        assert len(await performed(fielding, rows, path)) == 5
        assert await performed(fielding, rows, path) == []
        rows[2] = rows_on_new_runs(sandbox, 1)[0]
        with pytest.raises(ConfigurationError, match="row 2 is not the one on record"):
            await performed(fielding, rows, path)


async def test_another_exchange_is_refused(sandbox: Sandbox, path: Path) -> None:
    """The journal of a rehearsal on a sandbox cannot be taken for that of the exchange, nor of another API version."""
    rows = rows_on_new_runs(sandbox, 2)
    async with session(sandbox) as fielding:
        await performed(fielding, rows, path, plan="digest 1")
        with pytest.raises(ConfigurationError, match=r"another plan: .* digest 1, and this batch is for digest 2"):
            await performed(fielding, rows, path, plan="digest 2")
        with pytest.raises(ConfigurationError, match="another plan"):
            await performed(fielding, rows, path)
    async with FieldingSession("token", base_url="https://api.cint.com/v1") as fielding:
        with pytest.raises(
            ConfigurationError, match=r"another exchange: it was started for http://127.*api\.cint\.com"
        ):
            await performed(fielding, rows, path, plan="digest 1")
    async with session(sandbox, api_version="2026-01-01") as fielding:
        with pytest.raises(ConfigurationError, match="another API version"):
            await performed(fielding, rows, path, plan="digest 1")
    assert len(applied(sandbox)) == 2


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda rows: rows[::-1], "row 0 is not the one on record"),
        (lambda rows: [*rows[:5], (rows[5][0], Complete()), *rows[6:]], "row 5 is not"),
        (lambda rows: rows[1:], "row 0 is not"),
        (lambda rows: rows[:-1], "ends after 9"),
        (lambda rows: [], "ends after 0"),
    ],
)
async def test_another_plan_is_refused(sandbox: Sandbox, path: Path, change: Any, match: str) -> None:
    """Rows that were changed, moved or taken away are found out, also without a digest of the plan; added ones run."""
    rows = rows_on_new_runs(sandbox, 10)
    async with session(sandbox) as fielding:
        await performed(fielding, rows, path)
        before = len(sandbox.requests)
        with pytest.raises(ConfigurationError, match=match):
            await performed(fielding, change(rows), path)
        assert len(sandbox.requests) == before
        assert len(await performed(fielding, [*rows, *rows_on_new_runs(sandbox, 3)], path)) == 3


async def test_two_batches_cannot_share_a_journal(sandbox: Sandbox, path: Path) -> None:
    """The second is refused, in this process and in another; when the first is over, it may go on."""
    rows = rows_on_new_runs(sandbox, 5)
    code = f"import sys; sys.path[:0] = {sys.path!r}\n" + SCRIPT_THAT_OPENS
    async with session(sandbox) as fielding:
        async with fielding.perform_all(rows, journal=path) as batch:
            with pytest.raises(ConfigurationError, match="in use by another batch"):
                await performed(fielding, rows, path)
            other = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, str(path), sandbox.url, stdout=subprocess.PIPE
            )
            output, _ = await other.communicate()
            assert b"in use by another batch" in output
            assert len([done async for done in batch]) == 5
        assert await performed(fielding, rows, path) == []


SCRIPT_THAT_OPENS = """
import asyncio
from fielding_async import ConfigurationError, FieldingSession
async def main():
    async with FieldingSession("token", base_url=sys.argv[2]) as fielding:
        try:
            async with fielding.perform_all([], journal=sys.argv[1]):
                print("opened")
        except ConfigurationError as error:
            print(error)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
async def test_only_its_owner_may_read_it(sandbox: Sandbox, path: Path) -> None:
    """The file has mode 0600, also if it was there with another one and whatever the umask."""
    async with session(sandbox) as fielding:
        old = os.umask(0)
        try:
            await performed(fielding, rows_on_new_runs(sandbox, 1), path)
        finally:
            os.umask(old)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        other = path.with_name("other")
        other.touch(0o666)
        await performed(fielding, rows_on_new_runs(sandbox, 1), other)
        assert stat.S_IMODE(other.stat().st_mode) == 0o600


async def test_no_secret_is_in_it(sandbox: Sandbox, path: Path) -> None:
    """The token is nowhere in the journal."""
    async with session(sandbox) as fielding:
        await performed(fielding, rows_on_new_runs(sandbox, 3, Resume()), path)
    assert TOKEN not in path.read_text()


@pytest.mark.parametrize("content", ["account_id,project_id\n1,2\n", "no newline", "\0" * 5000, "{}\n", "[1]\n"])
async def test_a_file_that_is_no_journal_is_left_alone(sandbox: Sandbox, path: Path, content: str) -> None:
    """Somebody else's file is refused, and not changed by a byte."""
    path.write_text(content)
    async with session(sandbox) as fielding:
        with pytest.raises(ConfigurationError, match="not a journal"):
            await performed(fielding, rows_on_new_runs(sandbox, 1), path)
    assert path.read_text() == content
    with pytest.raises(ConfigurationError, match="not a journal"):
        read_journal(path)
    assert not applied(sandbox)


async def test_places_where_no_journal_can_be(sandbox: Sandbox, tmp_path: Path) -> None:
    """A missing folder, a folder itself, a pipe: each is refused with its reason, and nothing is sent."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    async with session(sandbox) as fielding:
        rows = rows_on_new_runs(sandbox, 1)
        for bad, match in (
            (tmp_path / "none" / "x", "No such file"),
            (tmp_path, "Is a directory"),
            (pipe, "not a regular file"),
        ):
            with pytest.raises(ConfigurationError, match=match):
                await performed(fielding, rows, bad)
            with pytest.raises(ConfigurationError):
                read_journal(bad)
    assert not sandbox.requests


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_is_read_only_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    """No journal, no batch."""
    tmp_path.chmod(0o500)
    async with session(sandbox) as fielding:
        with pytest.raises(ConfigurationError, match="Permission denied"):
            await performed(fielding, rows_on_new_runs(sandbox, 1), tmp_path / "x")
    tmp_path.chmod(0o700)


async def test_entering_that_is_cancelled_does_not_read_to_the_end(
    sandbox: Sandbox, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long journal is free again soon after, and not when all of it was read."""
    rows = rows_on_new_runs(sandbox)
    async with session(sandbox) as fielding:
        await performed(fielding, rows, path)
    lines: list[bytes] = []
    reads, goes_on = asyncio.Event(), threading.Event()
    loop, feed = asyncio.get_running_loop(), Replay.feed_group

    def held(replay: Replay, line: bytes, following: Iterator[bytes]) -> bytes:
        lines.append(line)
        loop.call_soon_threadsafe(reads.set)
        assert goes_on.wait(HANG)
        return feed(replay, line, following)

    async def enter() -> None:
        async with session(sandbox) as fielding, fielding.perform_all(rows, journal=path):
            raise AssertionError("it was entered")

    with monkeypatch.context() as patched:
        patched.setattr(Replay, "feed_group", held)
        entering = asyncio.create_task(enter())
        await reads.wait()
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        goes_on.set()
        for thread in threading.enumerate():
            if thread.name == "fielding-journal":
                await asyncio.to_thread(thread.join, HANG)
    assert len(lines) == 1
    assert read_journal(path).counts.done == 20


async def test_a_torn_journal_is_cut_and_resumed(sandbox: Sandbox, path: Path) -> None:
    """Cut anywhere after its first line, the journal is resumed, and every row is applied once all the same."""
    rows = rows_on_new_runs(sandbox, 6)
    async with session(sandbox) as fielding:
        await performed(fielding, rows, path)
        whole = path.read_bytes()
        first = whole.index(b"\n") + 1
        for size in [*range(first, len(whole), 211), first - 1, 5, 0]:
            path.write_bytes(whole[:size])
            leave_head(path, Head(0, ""))  # older than what was torn, as after a crash
            found = await performed(fielding, rows, path)
            assert {done.error for done in found} <= {None}
            assert read_journal(path).counts.done == 6
            assert all(json.loads(line) for line in path.read_text().splitlines())
    assert Counter(applied(sandbox)) == {"pause": 6}


async def test_a_damaged_journal_is_refused(sandbox: Sandbox, path: Path) -> None:
    """A line changed in the middle is named, and nothing is sent."""
    rows = rows_on_new_runs(sandbox, 6)
    async with session(sandbox) as fielding:
        await performed(fielding, rows, path, concurrency=1)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines[:4], b"what?\n", *lines[5:]]))
        with pytest.raises(ConfigurationError, match="damaged: line 5 is not record 1 of"):
            await performed(fielding, rows, path)


SCRIPT_WITH_FULL_DISK = """
import asyncio, json, resource, signal
from fielding_async import FieldingSession, JournalError, Pause, RunRef
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    path, url, ids, size = sys.argv[1:]
    rows = [(RunRef(*ref), Pause()) for ref in json.loads(ids)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
    found, ended, left = [], None, []
    async with FieldingSession("secret-token-of-the-test", base_url=url) as fielding:
        try:
            async with fielding.perform_all(rows, journal=path, concurrency=4) as batch:
                try:
                    async for done in batch:
                        found.append([done.number, type(done.error).__name__ if done.error else "done"])
                finally:
                    left = [[row.number, row.state] for row in batch.leftover]
        except JournalError as error:
            ended = str(error)
    print(json.dumps([found, ended, left, batch.taken]))
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("size", [400, 3000, 9000])
async def test_a_full_disk_ends_the_batch_with_nothing_lost(sandbox: Sandbox, path: Path, size: int) -> None:
    """No write leaves without its intent; every row taken is yielded or left over; resumed, every one is applied once.

    The disk is full in a process of its own, whose files may not grow beyond a size.
    """
    rows = rows_on_new_runs(sandbox, 60)
    ids = json.dumps([[ref.account_id, ref.project_id, ref.target_group_id, ref.fielding_run_id] for ref, _ in rows])
    code = f"import sys; sys.path[:0] = {sys.path!r}\n" + SCRIPT_WITH_FULL_DISK
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(path), sandbox.url, ids, str(size), stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    found, ended, left, taken = json.loads(output)
    assert "cannot be written: File too large; nothing more is sent" in ended
    assert sorted([*(number for number, _ in found), *(number for number, _ in left)]) == list(range(taken))
    assert {kind for _, kind in found} <= {"done", "JournalError"}
    done = sum(kind == "done" for _, kind in found)
    assert done == len(applied(sandbox)) < 60
    async with session(sandbox) as fielding:
        later = await performed(fielding, rows, path)
    assert {done.error for done in later} <= {None}
    assert Counter(applied(sandbox)) == {"pause": 60}
    assert read_journal(path).counts.done == 60


SCRIPT_TO_KILL = """
import asyncio, json
from fielding_async import Complete, FieldingSession, Limits, Pause, Resume, RunRef
async def main():
    path, url, ids = sys.argv[1:]
    rows = [(RunRef(*ref), action) for action in (Pause(), Resume(), Complete()) for ref in json.loads(ids)]
    limits = Limits(concurrency=16, adaptive=False)
    async with FieldingSession("secret-token-of-the-test", base_url=url, limits=limits) as fielding:
        async with fielding.perform_all(rows, journal=path) as batch:
            print("started", flush=True)
            async for done in batch:
                assert done.error is None, done
    print("finished", flush=True)
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_a_batch_survives_sigkill(sandbox: Sandbox, path: Path) -> None:
    """Killed again and again in the midst of it and resumed each time, every row is applied exactly once, in order."""
    refs = [sandbox.add_run(status="live") for _ in range(150)]
    ids = json.dumps([[ref.account_id, ref.project_id, ref.target_group_id, ref.fielding_run_id] for ref in refs])
    code = f"import sys; sys.path[:0] = {sys.path!r}\n" + SCRIPT_TO_KILL
    kills = 0
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, str(path), sandbox.url, ids, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"started\n"
        goal = len(sandbox.history) + 70
        while len(sandbox.history) < goal and process.returncode is None:
            await asyncio.sleep(0.001)
        if process.returncode is None and len(sandbox.history) < 450:
            process.send_signal(signal.SIGKILL)
            kills += 1
        output = await process.stdout.read()
        if await process.wait() == 0:
            assert output == b"finished\n"
            break
    assert kills >= 4
    for ref in refs:
        assert [write.operation for write in sandbox.history if write.ref == ref] == ["pause", "resume", "complete"]
    counts = read_journal(path).counts
    assert (counts.done, counts.ended, counts.in_flight) == (450, 450, 0)


async def test_nothing_is_written_behind_a_group_that_was_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a write that failed half-way the file stays as it is, although there is space again: it can be resumed."""
    path = tmp_path / "rows.journal"
    storage = FileStorage(str(path))
    replay = Replay()
    await storage.load(Binding("https://fake.invalid/v1", "2025-12-18", None), replay)
    real, full = os.write, [True]

    def write(fd: int, data: Any) -> int:
        if bytes(data[:9]) != b'{"commit"' and full:
            full.clear()
            raise OSError(28, "No space left on device")
        return real(fd, data[:20])

    monkeypatch.setattr(os, "write", write)
    loop = asyncio.get_running_loop()
    problems: list[OSError | None] = []
    for number in (1, 2):
        written: asyncio.Future[OSError | None] = loop.create_future()
        group, _ = group_bytes(number, WRITTEN, [b'{"settled":0,"row":"0000000a"}\n'], replay.digest)
        storage.write(group, written.set_result)
        problems.append(await written)
    await storage.close()
    assert [problem and problem.errno for problem in problems] == [28, 28]
    assert read_journal(path).counts.done == 0

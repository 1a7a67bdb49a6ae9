"""The head beside a journal: what it shows of one that was cut back, how it comes and goes, and that it is private."""

import asyncio
import os
import stat
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from fielding_async import Action, ConfigurationError, Done, Pause, Resume, RunRef, journal_rows, read_journal
from fielding_async.journal.chain import Head, head_of
from fielding_async.journal.head_file import HeadFile
from fielding_async.journal.locked_file import LockedFile
from fielding_async.sandbox import Sandbox
from tests.tools.journal_text import leave_head
from tests.tools.sessions import applied, session

Rows = list[tuple[RunRef, Action]]


@pytest.fixture
def head(path: Path) -> Path:
    return path.with_name("rows.journal.head")


async def performed(
    sandbox: Sandbox, rows: Rows, path: Path, on_done: Callable[[Done], object] = lambda _: None
) -> list[Done]:
    found: list[Done] = []
    async with session(sandbox) as fielding, fielding.perform_all(rows, journal=path, concurrency=2) as batch:
        async for done in batch:
            found.append(done)
            on_done(done)
    return found


def new_rows(sandbox: Sandbox, count: int = 6) -> Rows:
    return [(sandbox.add_run(status="live"), Pause()) for _ in range(count)]


def what_it_says(path: Path) -> Head | None:
    return HeadFile(str(path), "journal").read()


def group_starts(text: bytes) -> list[int]:
    """Return where the groups of a journal start, in bytes."""
    starts = [0] if text.startswith(b'{"commit"') else []
    place = -1
    while (place := text.find(b'\n{"commit"', place + 1)) >= 0:
        starts.append(place + 1)
    return starts


def last_group(path: Path) -> Head | None:
    text = path.read_bytes()
    return head_of(text[group_starts(text)[-1] :])


async def refused(sandbox: Sandbox, rows: Rows, path: Path, match: str) -> None:
    """Hold that a batch and the readers refuse a journal, and that nothing is sent or changed."""
    requests, text = len(sandbox.requests), path.read_bytes()
    with pytest.raises(ConfigurationError, match=match):
        await performed(sandbox, rows, path)
    with pytest.raises(ConfigurationError, match=match):
        read_journal(path)
    with pytest.raises(ConfigurationError, match=match):
        list(journal_rows(path, all=True))
    assert len(sandbox.requests) == requests
    assert path.read_bytes() == text


async def test_a_journal_that_ends_before_its_head_is_refused(sandbox: Sandbox, path: Path) -> None:
    """Cut back at the end of any group, or an older copy put back: its writes would be sent again."""
    rows = new_rows(sandbox)
    await performed(sandbox, rows, path)
    whole = path.read_bytes()
    assert what_it_says(path) == last_group(path)
    for number, start in enumerate(group_starts(whole)):
        path.write_bytes(whole[:start])
        await refused(sandbox, rows, path, rf"is damaged: it ends with group {number} .*put back the whole file")
    path.write_bytes(whole)
    assert await performed(sandbox, rows, path) == []


async def test_a_last_group_that_is_broken_is_cut_unless_its_head_counts_it(sandbox: Sandbox, path: Path) -> None:
    """A group that the head counts was durable, so that its writes may have left."""
    rows = new_rows(sandbox)
    await performed(sandbox, rows, path)
    whole = path.read_bytes()
    *_, before_last, last = group_starts(whole)
    path.write_bytes(whole[:-5])
    await refused(sandbox, rows, path, "its head says that this group was whole")
    behind = head_of(whole[before_last:last])
    assert behind is not None
    leave_head(path, behind)
    await performed(sandbox, rows, path)
    assert path.read_bytes().startswith(whole[:last])
    assert read_journal(path).counts.done == 6
    assert applied(sandbox) == ["pause"] * 6
    assert what_it_says(path) == last_group(path)


async def test_a_head_that_is_behind_catches_up(sandbox: Sandbox, path: Path) -> None:
    """A crash between the journal and its head leaves it one group behind, a power cut any number of groups."""
    rows = new_rows(sandbox)
    await performed(sandbox, rows, path)
    whole = path.read_bytes()
    starts = group_starts(whole)
    for start, end in pairwise(starts):
        behind = head_of(whole[start:end])
        assert behind is not None
        leave_head(path, behind)
        assert read_journal(path).counts.done == 6
        assert await performed(sandbox, rows, path) == []
        assert what_it_says(path) == last_group(path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("left", [None, b"", bytes(256)])
async def test_a_missing_head_is_a_warning(sandbox: Sandbox, path: Path, head: Path, left: bytes | None) -> None:
    """Missing, or emptied by a power cut: it is told once, and the journal gets a new one."""
    rows = new_rows(sandbox)
    await performed(sandbox, rows, path)
    head.unlink()
    if left is not None:
        head.write_bytes(left)
    with pytest.warns(
        UserWarning, match=r"its head .*rows.journal.head' is missing: it is not known whether .* was cut off"
    ):
        assert await performed(sandbox, rows, path) == []
    assert what_it_says(path) == last_group(path)
    assert await performed(sandbox, rows, path) == []


async def test_a_warning_that_is_an_error_is_told_again(sandbox: Sandbox, path: Path, head: Path) -> None:
    """The head is made after the warning, so that who was stopped by it is not let through the next time."""
    rows = new_rows(sandbox)
    await performed(sandbox, rows, path)
    head.unlink()
    for _ in range(2):
        with pytest.raises(UserWarning, match="is missing"):
            await performed(sandbox, rows, path)
        assert not head.exists()


async def test_a_journal_that_cannot_be_used_is_free_once_that_is_raised(
    sandbox: Sandbox, path: Path, head: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is unlocked by then, so that the same batch may be tried again at once."""
    rows = new_rows(sandbox)
    await performed(sandbox, rows, path)
    head.unlink()
    may_close = threading.Event()
    closed: list[LockedFile] = []
    close = LockedFile.close

    def close_late(file: LockedFile) -> None:
        assert may_close.wait(30)
        close(file)
        closed.append(file)

    monkeypatch.setattr(LockedFile, "close", close_late)
    async with session(sandbox) as fielding:
        asyncio.get_running_loop().call_later(0.01, may_close.set)
        with pytest.raises(UserWarning, match="is missing"):
            async with fielding.perform_all(rows, journal=path):
                pass
        assert closed


@pytest.mark.parametrize("what", ["removed", "emptied", "replaced", "cut"])
async def test_a_head_that_is_lost_under_a_batch_is_written_anew(
    sandbox: Sandbox, path: Path, head: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next write of the head finds out, says so once, and makes one that says what is durable."""
    monkeypatch.setattr("fielding_async.journal.locked_file._HEAD_EVERY", 0.0)
    rows = new_rows(sandbox)

    def lose(_: Done) -> None:
        if what == "replaced":
            head.with_suffix(".other").write_bytes(bytes(256))
            head.with_suffix(".other").replace(head)
        elif what == "removed":
            head.unlink(missing_ok=True)
        elif head.exists():
            os.truncate(head, 0 if what == "emptied" else 128)

    warning = "rows.journal.head' was removed, replaced or emptied .* written again"
    with pytest.warns(UserWarning, match=warning) as said:
        await performed(sandbox, rows, path, lose)
    assert len(said) == 1
    assert what_it_says(path) == last_group(path)
    assert stat.S_IMODE(head.stat().st_mode) == 0o600
    assert await performed(sandbox, rows, path) == []


def test_a_head_that_is_replaced_as_soon_as_it_is_made_is_found_lost(
    path: Path, head: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has its name by then is not taken for the file that was written."""
    file = HeadFile(str(path), "journal")
    replace = os.replace

    def replace_twice(new: str, name: str) -> None:
        replace(new, name)
        head.with_suffix(".other").write_bytes(bytes(256))
        replace(head.with_suffix(".other"), name)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", replace_twice)
        file.write(Head(1, "a" * 32, 1))
    assert not file.is_in_place()
    file.write(Head(2, "b" * 32, 2))
    file.close()
    assert file.was_lost
    assert what_it_says(path) == Head(2, "b" * 32, 2)


async def test_a_head_that_cannot_be_written_anew_is_told_of(sandbox: Sandbox, path: Path, head: Path) -> None:
    """A folder in its place: the batch goes on, as nothing is lost without a head."""
    rows = new_rows(sandbox)

    def put_in_the_way(done: Done) -> None:
        if done.number == 2:
            head.unlink()
            (head / "in the way").mkdir(parents=True)

    with pytest.warns(UserWarning, match="it cannot be written again: "):
        await performed(sandbox, rows, path, put_in_the_way)
    (head / "in the way").rmdir()
    head.rmdir()
    assert read_journal(path).counts.done == 6


async def test_a_journal_that_was_deleted_is_not_begun_anew_beside_its_head(
    sandbox: Sandbox, path: Path, head: Path
) -> None:
    """Its rows would be sent again: what to do is said."""
    rows = new_rows(sandbox)
    await performed(sandbox, rows, path)
    for text in (None, b"", b'{"fielding_jour'):
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_bytes(text)
        with pytest.raises(
            ConfigurationError, match=r"says that the journal had \d+ groups, and it is empty: put it back, or move"
        ):
            await performed(sandbox, rows, path)
        assert path.exists() == (text is not None)
    head.unlink()
    found = await performed(sandbox, [(ref, Resume()) for ref, _ in rows], path)
    assert {done.error for done in found} == {None}


async def test_the_head_of_another_journal_is_refused(sandbox: Sandbox, path: Path, head: Path) -> None:
    """It names a group that this journal does not have."""
    rows = new_rows(sandbox, 8)
    await performed(sandbox, rows[:4], path)
    ours = path.read_bytes()
    path.unlink()
    head.unlink()
    await performed(sandbox, rows[4:], path)
    path.write_bytes(ours)
    await refused(sandbox, rows[:4], path, "which is not the one that the head names|its head says that there were")


@pytest.mark.parametrize(
    "text", [b"account_id\n", b"{}\n", b"[1]", b"x" * 256, b'{"fielding_journal_head":1}'.ljust(256)]
)
async def test_a_file_in_its_place_is_left_alone(sandbox: Sandbox, path: Path, head: Path, text: bytes) -> None:
    """Somebody else's file is refused and not changed, whether the journal is new or not."""
    head.write_bytes(text)
    with pytest.raises(ConfigurationError, match=r"rows.journal.head' is not the head of a journal"):
        await performed(sandbox, new_rows(sandbox, 1), path)
    assert head.read_bytes() == text
    assert not sandbox.requests


async def test_one_slot_of_two_is_enough(sandbox: Sandbox, path: Path, head: Path) -> None:
    """A write that was torn leaves the slot before it."""
    rows = new_rows(sandbox)
    await performed(sandbox, rows, path)
    text = head.read_bytes()
    newest = what_it_says(path)
    assert newest is not None
    for start in (0, 128):
        head.write_bytes(text[:start] + text[start : start + 60] + bytes(68) + text[start + 128 :])
        found = what_it_says(path)
        assert found is not None
        assert found.groups <= newest.groups
        assert read_journal(path).counts.done == 6


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not hold root back")
async def test_a_head_that_may_not_be_written_or_read(sandbox: Sandbox, path: Path, head: Path) -> None:
    """A read-only one is replaced; in a read-only folder it stays behind, and the rows are done; an unreadable one is
    refused, for nothing can be said of the journal's end.
    """
    rows = new_rows(sandbox)
    await performed(sandbox, rows[:2], path)
    head.chmod(0o400)
    await performed(sandbox, rows[:4], path)
    assert what_it_says(path) == last_group(path)
    assert stat.S_IMODE(head.stat().st_mode) == 0o600
    behind = what_it_says(path)
    path.parent.chmod(0o500)
    try:
        await performed(sandbox, rows, path)
        assert what_it_says(path) == behind != last_group(path)
    finally:
        path.parent.chmod(0o700)
    assert read_journal(path).counts.done == 6
    head.chmod(0)
    await refused(sandbox, rows, path, r"rows.journal.head' cannot be read: Permission denied")


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")
async def test_it_is_private_and_follows_no_link(sandbox: Sandbox, path: Path, head: Path, tmp_path: Path) -> None:
    """Mode 0600 whatever the umask; a link in its place is refused; another name of it is not written through."""
    rows = new_rows(sandbox)
    old = os.umask(0)
    try:
        await performed(sandbox, rows[:3], path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(head.stat().st_mode) == 0o600
    other = tmp_path / "other"
    other.hardlink_to(head)
    before = other.read_bytes()
    await performed(sandbox, rows, path)
    assert other.read_bytes() == before
    assert stat.S_IMODE(head.stat().st_mode) == 0o600
    head.rename(tmp_path / "moved")
    head.symlink_to(tmp_path / "moved")
    await refused(sandbox, rows, path, r"rows.journal.head'.* is a symbolic link")

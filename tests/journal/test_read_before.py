"""A journal that was read before a batch goes on with it: only what was added since is read, if it is the same."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from fielding_async import Action, ConfigurationError, JournalSummary, Pause, RunRef, read_journal
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import journal_file, perform_all
from fielding_async.journal.reader import ReadJournal
from fielding_async.journal.records import DoneRows
from fielding_async.journal.replay import Replay
from fielding_async.sandbox import Sandbox
from tests.tools.sessions import session

Rows = list[tuple[RunRef, Action]]


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The first lines of the groups that are read."""
    lines: list[bytes] = []
    feed = Replay.feed_group

    def noting(replay: Replay, line: bytes, following: Iterator[bytes]) -> bytes:
        lines.append(line)
        return feed(replay, line, following)

    monkeypatch.setattr(Replay, "feed_group", noting)
    return lines


async def go_on(box: Sandbox, rows: Any, journal: Path | ReadJournal) -> Counter[tuple[str, str]]:
    """Perform rows; return how they ended."""
    ended: Counter[tuple[str, str]] = Counter()
    options = Options(concurrency=1)
    async with (
        session(box) as fielding,
        perform_all(fielding, rows, options, storage=journal_file(journal)) as batch,
    ):
        async for done in batch:
            ended[done.action.name, done.result().effect] += 1
    return ended


def live(box: Sandbox, count: int = 8) -> Rows:
    return [(box.add_run(status="live"), Pause()) for _ in range(count)]


async def test_what_was_read_is_not_read_again(sandbox: Sandbox, path: Path, fed: list[bytes]) -> None:
    """The batch reads nothing, and what it adds is known without reading it."""
    rows = live(sandbox)
    await go_on(sandbox, [*rows[:5]], path)
    known = ReadJournal(path)
    assert known.read().counts.done == 5
    groups = len(fed)
    assert groups > 1
    ended = await go_on(sandbox, [*rows], known)
    assert len(fed) == groups
    assert ended == {("pause", "accepted"): 3}
    assert known.finished(ended) == read_journal(path)
    assert len(sandbox.history) == 8


async def test_what_was_added_meanwhile_is_read(sandbox: Sandbox, path: Path, fed: list[bytes]) -> None:
    """Another batch may end between the reading and the lock."""
    rows = live(sandbox)
    await go_on(sandbox, [*rows[:5]], path)
    known = ReadJournal(path)
    known.read()
    await go_on(sandbox, [*rows[:7]], path)
    groups = len(fed)
    ended = await go_on(sandbox, [*rows], known)
    assert 0 < len(fed) - groups < groups
    assert ended == {("pause", "accepted"): 1}
    assert known.finished(ended) == read_journal(path)
    assert len(sandbox.history) == 8


async def test_a_new_journal_is_known_from_its_beginning(sandbox: Sandbox, path: Path) -> None:
    """Its summary needs no reading either."""
    known = ReadJournal(path)
    ended = await go_on(sandbox, [*live(sandbox)], known)
    summary = known.finished(ended)
    assert isinstance(summary, JournalSummary)
    assert summary == read_journal(path)
    assert summary.began_at is not None


def alter(path: Path) -> None:
    """Change a byte in the first record, without changing the size."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"version":1', b'"version":7')
    path.write_bytes(b"".join(lines))


def cut(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(place for place, line in enumerate(lines) if line.startswith(b'{"commit"'))
    path.write_bytes(b"".join(lines[:last]))


@pytest.mark.parametrize(
    ("change", "problem"), [(alter, "line 3 is not record 1 "), (cut, "it was cut back, or it is an older copy")]
)
async def test_what_was_altered_meanwhile_is_refused_by_its_line(
    sandbox: Sandbox, path: Path, change: Callable[[Path], None], problem: str
) -> None:
    """That it was right when it was read before does not count."""
    rows = live(sandbox, 4)
    await go_on(sandbox, [*rows[:3]], path)
    known = ReadJournal(path)
    known.read()
    change(path)
    with pytest.raises(ConfigurationError, match=problem):
        await go_on(sandbox, [*rows], known)
    assert len(sandbox.history) == 3


async def test_another_journal_in_its_place_is_read_from_its_beginning(
    sandbox: Sandbox, path: Path, tmp_path: Path
) -> None:
    """What was read of the first one is forgotten: the batch goes by what the file says."""
    rows = live(sandbox, 6)
    await go_on(sandbox, [*rows[:4]], path)
    known = ReadJournal(path)
    known.read()
    other = tmp_path / "other.journal"
    await go_on(sandbox, [*rows[:2]], other)
    for suffix in ("", ".head"):
        Path(f"{path}{suffix}").unlink()
        Path(f"{other}{suffix}").rename(f"{path}{suffix}")
    ended = await go_on(sandbox, [*rows], known)
    assert ended == {("pause", "already"): 2, ("pause", "accepted"): 2}
    assert known.finished(ended) == read_journal(path)


async def test_a_file_that_is_not_as_the_batch_left_it_says_nothing(sandbox: Sandbox, path: Path) -> None:
    """Then it must be read: it was deleted, replaced or changed in size."""
    known = ReadJournal(path)
    ended = await go_on(sandbox, [*live(sandbox)], known)
    text = path.read_bytes()
    other = path.with_name("other")
    other.write_bytes(text)  # while the first one is there, so that it is another file for the system too
    os.truncate(path, len(text) - 1)
    assert known.finished(ended) is None
    path.write_bytes(text)
    assert known.finished(ended) is not None
    other.replace(path)
    assert known.finished(ended) is None
    path.unlink()
    assert known.finished(ended) is None


# -- rows that are done, in the input


def done_rows(path: Path, first: int, rows: int) -> DoneRows:
    replay = ReadJournal(path)
    replay.read()
    assert replay.replay is not None
    digests = [replay.replay.row_digest(number) for number in range(first, first + rows)]
    return DoneRows(rows, crc32(b"".join(digest.to_bytes(4, "little") for digest in digests)))


@pytest.mark.skipif(memoryview(b"\1\0").cast("H")[0] != 1, reason="the digests are written as on other machines")
async def test_rows_that_are_done_are_passed_over_at_once(sandbox: Sandbox, path: Path) -> None:
    """They are counted as taken and passed, and the rows after them keep their numbers."""
    rows = live(sandbox, 6)
    await go_on(sandbox, [*rows[:5]], path)
    pairs: Any = [rows[0], done_rows(path, 1, 3), *rows[4:]]
    async with (
        session(sandbox) as fielding,
        perform_all(
            fielding,
            pairs,
            Options(),
            storage=journal_file(path),
        ) as batch,
    ):
        assert [done.number async for done in batch] == [5]
        assert (batch.taken, batch.passed, batch.leftover) == (6, 5, ())
    assert len(sandbox.history) == 6


@pytest.mark.parametrize("kind", ["not on record", "other rows", "failed", "no journal"])
async def test_rows_that_are_not_on_record_as_done_are_not_passed_over(sandbox: Sandbox, path: Path, kind: str) -> None:
    """The batch stops, and sends nothing more: it was to take somebody's word that they are done."""
    rows: Rows = live(sandbox, 3)
    if kind == "failed":
        rows[1] = (RunRef(101, sandbox.project_id, "9" * 26, "NOBODY"), Pause())
    async with session(sandbox) as fielding, fielding.perform_all(rows, journal=path) as batch:
        _ = [done async for done in batch]
    some = done_rows(path, 0, 3)
    if kind == "not on record":
        some = DoneRows(4, some.check_sum)
    elif kind == "other rows":
        some = DoneRows(3, some.check_sum ^ 1)
    before = len(sandbox.history)
    with pytest.raises(ConfigurationError, match="row 0, or one after it, is not on record as done"):
        await go_on(sandbox, [some, *live(sandbox, 1)], path.with_name("none") if kind == "no journal" else path)
    assert len(sandbox.history) == before

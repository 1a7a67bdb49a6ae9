"""Journals of format 1, as the version before wrote them: read, gone on with, and covered by the chain from then on.

`data/format1.journal` was written by the version that wrote format 1: a batch of 13 rows on the exchange of the tests,
cut behind its sixth group, as a process leaves it that is killed with four writes in flight.
"""

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fielding_async import Action, ConfigurationError, Pause, Resume, RunRef, Update, journal_rows, read_journal
from fielding_async.journal.chain import DamagedError, Head
from fielding_async.journal.replay import Replay
from tests.tools.fake_exchange import FakeExchange, ref_of
from tests.tools.fake_storage import Disk
from tests.tools.journal_lives import one_process

FIXTURE = Path(__file__).parent / "data" / "format1.journal"
END = datetime(2031, 5, 1, tzinfo=UTC)
ROWS: list[tuple[RunRef, Action]] = [
    *((ref_of(number), Update(end_fielding_at=END) if number % 4 == 1 else Pause()) for number in range(12)),
    (ref_of(3), Resume()),
]


def replayed(text: bytes, head: Head | None = None) -> Replay:
    first, *lines = text.splitlines(keepends=True)
    replay = Replay()
    replay.begin(first, head)
    for line in lines:
        replay.feed(line)
    replay.end()
    return replay


def gone_on_with() -> tuple[FakeExchange, bytes]:
    """Go on with the fixture; return the exchange of that process alone, and the journal."""
    exchange, disk = FakeExchange(), Disk()
    disk.data = FIXTURE.read_bytes()
    assert one_process(disk, exchange, ROWS, concurrency=3)
    return exchange, disk.data


def test_it_is_read(tmp_path: Path) -> None:
    """Times, refs and ETags that it does not have are `None`."""
    path = tmp_path / "rows.journal"
    path.write_bytes(FIXTURE.read_bytes())
    summary = read_journal(path)
    assert (summary.format, summary.began_at, summary.last_written_at) == (1, None, None)
    assert (summary.counts.done, summary.counts.failed, summary.counts.in_flight, summary.counts.stuck) == (6, 1, 4, 0)
    rows = {row.number: row for row in journal_rows(path, all=True)}
    assert len(rows) == 11
    assert {row.time for row in rows.values()} == {None}
    done, failed, in_flight = rows[5], rows[3], rows[9]
    assert (done.state, done.effect, done.ref, done.action, done.etag) == ("done", "accepted", None, ROWS[5][1], None)
    assert done.before is not None
    assert (done.before.id, done.before.status) == ("run5", "live")
    assert (failed.state, failed.ref, failed.error) == ("failed", ref_of(3), "InvalidRunStateError")
    assert (in_flight.state, in_flight.ref, in_flight.action) == ("in flight", None, ROWS[9][1])


def test_it_is_gone_on_with() -> None:
    """What had ended is passed over, what was in flight is sent under its ETag, and all that follows is chained."""
    before = FIXTURE.read_bytes()
    exchange, after = gone_on_with()
    assert Counter(name for name, _ in exchange.applied) == Counter(f"run{number}" for number in (7, 8, 9, 10, 11))
    assert after.startswith(before)
    groups = [line for line in after[len(before) :].splitlines() if line.startswith(b'{"commit"')]
    assert groups
    assert all(b'"chain"' in line for line in groups)
    replay = replayed(after)
    assert (replay.counts().done, replay.counts().failed, replay.counts().skipped) == (11, 1, 1)
    assert replay.commits == 6 + len(groups)
    disk = Disk()
    disk.data = after
    assert one_process(disk, exchange, ROWS) == []


def test_its_torn_end_is_cut() -> None:
    """Cut at any byte behind its first line it is gone on with: its complete lines count, as they did before."""
    text = FIXTURE.read_bytes()
    ends = [found.end() for found in re.finditer(b"\n", text)]
    for size in range(ends[0], len(text), 7):
        assert replayed(text[:size]).good_bytes == max(end for end in ends if end <= size)


def test_a_change_in_its_part_is_noticed_once_chained_groups_follow() -> None:
    """The first chained group digests all that was there before it."""
    before = len(FIXTURE.read_bytes().splitlines())
    _, text = gone_on_with()
    lines = text.splitlines(keepends=True)
    for place in range(1, before):
        for changed in (
            [*lines[:place], *lines[place + 1 :]],
            [*lines[:place], lines[place], *lines[place:]],
            [*lines[:place], lines[place].replace(b"1", b"2"), *lines[place + 1 :]],
        ):
            if changed == lines:
                continue
            with pytest.raises(DamagedError, match="line"):
                replayed(b"".join(changed))


@pytest.mark.parametrize("number", range(1, 7))
def test_a_group_that_is_missing_or_doubled_is_noticed_by_its_number(number: int) -> None:
    """Without a chain too: the groups of format 1 have numbers, which follow one another."""
    text = FIXTURE.read_bytes()
    parts = re.split(rb'(?=\{"commit":\d\}\n)', text)
    assert len(parts) == 7
    doubled = b"".join([*parts[: number + 1], *parts[number:]])
    with pytest.raises(DamagedError, match=rf"line \d+ starts group {number}: it is there twice"):
        replayed(doubled)
    if number < 6:
        with pytest.raises(DamagedError, match=rf"line \d+ starts group {number + 1}: group {number} is missing"):
            replayed(b"".join([*parts[:number], *parts[number + 1 :]]))


def test_an_earlier_version_cannot_write_behind_chained_groups() -> None:
    """It would write groups without a digest: a journal where it did is refused, and nothing of it is cut."""
    _, text = gone_on_with()
    number = replayed(text).commits + 1
    with pytest.raises(DamagedError, match=r"starts a group without a digest: an earlier version"):
        replayed(text + b'{"commit":%d}\n' % number)


def test_a_head_covers_it_from_then_on(tmp_path: Path) -> None:
    """It counts the groups of both formats."""
    _, text = gone_on_with()
    replay = replayed(text)
    head = Head(replay.commits, replay.digest)
    assert replayed(text, head).commits == head.groups
    with pytest.raises(DamagedError, match=rf"ends with group 6 .* there were {head.groups}"):
        replayed(FIXTURE.read_bytes(), head)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """What to do is said."""
    path = tmp_path / "rows.journal"
    path.write_bytes(FIXTURE.read_bytes().replace(b'"fielding_journal":1', b'"fielding_journal":3'))
    with pytest.raises(
        ConfigurationError, match="format 3, and this version reads formats 1 to 2: use a newer version"
    ):
        read_journal(path)

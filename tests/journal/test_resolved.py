"""The runs of target groups on record: read back, refused where they cannot be, and seen to be altered."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fielding_async import Pause, RunRef, journal_rows, read_journal
from fielding_async.journal.chain import DamagedError, group_bytes
from fielding_async.journal.lines import header_line, resolved_lines, row_digest, settled_line
from fielding_async.journal.replay import Replay
from fielding_async.journal.values import Binding, ResolvedRuns

PROJECT, OTHER = "0" * 26, "1" * 26
TIME = datetime(2031, 5, 17, tzinfo=UTC)
RUNS: ResolvedRuns = {
    (101, PROJECT): {f"{number:026}": f"RUN{number}" for number in range(250)},
    (101, OTHER): {"0" * 26: 'odd"id'},
    (102, PROJECT): {"0" * 26: "RUN0"},
}
SETTLED = settled_line(0, row_digest(RunRef(101, PROJECT, "0" * 26, "RUN0"), Pause()))


def journal(*groups: list[bytes]) -> list[bytes]:
    """Return the lines of a journal with these groups of records."""
    replay = Replay()
    first = header_line(Binding("https://api.test/v1", "2025-12-18", "plan"))
    replay.begin(first)
    data, digest = first, replay.digest
    for number, records in enumerate(groups, 1):
        group, digest = group_bytes(number, TIME, records, digest)
        data += group
    return data.splitlines(keepends=True)


def replayed(lines: list[bytes]) -> Replay:
    """Read a journal to its end."""
    replay = Replay()
    replay.begin(lines[0])
    for line in lines[1:]:
        replay.feed(line)
    replay.end()
    return replay


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    """In as many records as it takes, and before the rows; they are no rows themselves."""
    records = list(resolved_lines(RUNS))
    assert len(records) == 5
    lines = journal(records, [SETTLED])
    replay = replayed(lines)
    assert replay.resolved == RUNS
    assert [*map(list, replay.resolved)] == [*map(list, RUNS)]
    assert len(replay) == 1
    path = tmp_path / "plan.journal"
    path.write_bytes(b"".join(lines))
    assert read_journal(path).resolved_runs == 252
    assert list(journal_rows(path, all=True)) == []


def test_a_journal_without_them_has_none() -> None:
    """As every journal of a plan that names its runs."""
    assert replayed(journal([SETTLED])).resolved == {}


@pytest.mark.parametrize(
    "groups",
    [
        [[SETTLED], list(resolved_lines({(101, PROJECT): {"0" * 26: "RUN0"}}))],
        [list(resolved_lines({(101, PROJECT): {"0" * 26: "RUN0"}})), list(resolved_lines(RUNS))],
        [[b'{"resolved":[101,"P"],"runs":[1]}\n']],
        [[b'{"resolved":[101,"P"],"runs":{"G":5}}\n']],
        [[b'{"resolved":["101","P"],"runs":{"G":"R"}}\n']],
        [[b'{"resolved":[true,"P"],"runs":{"G":"R"}}\n']],
        [[b'{"resolved":[101],"runs":{"G":"R"}}\n']],
        [[b'{"resolved":[101,"P"]}\n']],
    ],
    ids=["after a row", "twice", "a list", "a number", "a text", "a truth", "no project", "no runs"],
)
def test_a_record_that_cannot_be_is_refused_by_line(groups: list[list[bytes]]) -> None:
    """A run is on record once and before the first row, or rows could be of another run than was sent to."""
    lines = journal(*groups)
    with pytest.raises(DamagedError, match=r"^line \d+ is no record that this version knows"):
        replayed(lines)


def test_every_altered_byte_is_found_where_rows_follow() -> None:
    """All places of the group: each is refused, and names a line of it."""
    lines = journal(list(resolved_lines({(101, PROJECT): {"0" * 26: "RUN0"}})), [SETTLED])
    for number in (1, 2):
        for place in range(len(lines[number]) - 1):
            changed = list(lines)
            line = bytearray(lines[number])
            line[place] ^= 1
            changed[number] = bytes(line)
            with pytest.raises(DamagedError, match=rf"line {number + 1}|line 2|line 4"):
                replayed(changed)


def test_a_torn_end_of_them_is_cut(tmp_path: Path) -> None:
    """Nothing was sent before all of them were durable, so that they are found again."""
    data = b"".join(journal(list(resolved_lines(RUNS))))
    first = data.index(b"\n") + 1
    for length in (first, first + 20, len(data) - 100, len(data) - 1):
        path = tmp_path / f"{length}.journal"
        path.write_bytes(data[:length])
        assert read_journal(path).resolved_runs == 0

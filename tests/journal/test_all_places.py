"""A journal of 300 records in which one line or one group is missing, doubled, swapped or altered: at all places."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count, pairwise
from typing import NamedTuple
from zlib import crc32

import pytest

from fielding_async import Action, ConfigurationError, Pause, RunRef, Update
from fielding_async.journal.chain import DamagedError, Head
from fielding_async.journal.replay import Replay
from tests.tools.fake_exchange import FakeExchange, ref_of
from tests.tools.fake_storage import Disk
from tests.tools.journal_lives import one_process
from tests.tools.sessions import END

pytestmark = [pytest.mark.slow, pytest.mark.once]

Lines = list[bytes]
ROWS: list[tuple[RunRef, Action]] = [
    (ref_of(number), Update(end_fielding_at=END) if number % 5 == 0 else Pause()) for number in range(150)
]


class Change(NamedTuple):
    """A changed journal, the first line that is wrong, from 1, and whether all that changed is in the last group."""

    lines: Lines
    wrong: int
    in_last_group: bool


@cache
def original() -> tuple[FakeExchange, tuple[bytes, ...], Head]:
    """Perform the plan. Return the exchange, the journal by lines, and what its head says."""
    exchange, disk = FakeExchange(), Disk()
    found = one_process(disk, exchange, ROWS, concurrency=4)
    assert {done.result().effect for done in found} == {"accepted"}
    replay = disk.replayed()
    assert replay.good_bytes == len(disk.data)
    lines = tuple(disk.data.splitlines(keepends=True))
    assert len(lines) - 1 - replay.commits == 2 * len(ROWS) == 300
    assert replay.commits >= 50
    return exchange, lines, Head(replay.commits, replay.digest)


def starts() -> list[int]:
    """Return where the groups start, and where the last one ends."""
    _, lines, _ = original()
    return [place for place, line in enumerate(lines) if line.startswith(b'{"commit"')] + [len(lines)]


def changed_lines(change: Callable[[Lines, int], int]) -> Iterator[Change]:
    """Change a copy at each line after the first. `change` returns the place of the first line that is wrong."""
    last = starts()[-2]
    for place in range(1, len(original()[1])):
        lines = list(original()[1])
        wrong = change(lines, place)
        if wrong >= 0:
            yield Change(lines, wrong + 1, place >= last)


def remove(lines: Lines, place: int) -> int:
    del lines[place]
    return place


def double(lines: Lines, place: int) -> int:
    lines.insert(place, lines[place])
    return place + 1


def swap(lines: Lines, place: int) -> int:
    if place + 1 == len(lines):
        return -1
    lines[place], lines[place + 1] = lines[place + 1], lines[place]
    return place


def removed_groups() -> Iterator[Change]:
    for start, end in pairwise(starts()[:-1]):  # that the last one is missing only the head shows
        lines = list(original()[1])
        del lines[start:end]
        yield Change(lines, start + 1, in_last_group=False)


def doubled_groups() -> Iterator[Change]:
    for start, end in pairwise(starts()):
        lines = list(original()[1])
        lines[end:end] = lines[start:end]
        yield Change(lines, end + 1, in_last_group=False)


def swapped_groups() -> Iterator[Change]:
    places = starts()
    for start, middle, end in zip(places[:-2], places[1:-1], places[2:], strict=True):
        lines = list(original()[1])
        lines[start:end] = [*lines[middle:end], *lines[start:middle]]
        yield Change(lines, start + 1, in_last_group=False)


def altered_lines() -> Iterator[Change]:
    """Alter a byte at seven places of each line, its end included, in two ways."""
    last = starts()[-2]
    for place, line in enumerate(original()[1]):
        size = len(line)
        for byte in (0, 9, size // 3, size // 2, size - 3, size - 2, size - 1):
            for other in (0, ord("7") if line[byte] != ord("7") else ord("8")):
                altered = bytearray(line)
                altered[byte] = other
                text = b"".join([*original()[1][:place], bytes(altered), *original()[1][place + 1 :]])
                yield Change(text.splitlines(keepends=True), place + 1, place >= last)


KINDS: dict[str, Callable[[], Iterator[Change]]] = {
    "removed": lambda: changed_lines(remove),
    "doubled": lambda: changed_lines(double),
    "swapped": lambda: changed_lines(swap),
    "altered": altered_lines,
    "removed group": removed_groups,
    "doubled group": doubled_groups,
    "swapped groups": swapped_groups,
}


def read(lines: Lines, head: Head | None) -> Replay:
    """Read line by line, and group by group as from a file: both find the same."""
    found = [read_in_one_way(lines, head, by_group=by_group) for by_group in (False, True)]
    if isinstance(found[0], Exception):
        assert repr(found[1]) == repr(found[0])
        raise found[0]
    assert isinstance(found[1], Replay)
    one, other = (
        (each.commits, each.digest, each.good_bytes, each.outcomes, each.open) for each in (found[0], found[1])
    )
    assert one == other
    return found[1]


def read_in_one_way(lines: Lines, head: Head | None, *, by_group: bool) -> Replay | Exception:
    replay = Replay()
    following = iter(lines)
    try:
        replay.begin(next(following), head)
        for line in following:
            if by_group:
                replay.feed_group(line, following)
            else:
                replay.feed(line)
        replay.end()
    except (DamagedError, ConfigurationError) as error:
        return error
    return replay


def lines_to_name(change: Change) -> range:
    """Return which lines a refusal may name: the first that is wrong.

    Of 65,536 altered records one has the sum of the record as it was. It is refused by the digest of its group, and a
    line of that group is named.
    """
    place, lines = change.wrong - 1, original()[1]
    if place < min(len(lines), len(change.lines)) and sum_of(change.lines[place]) == sum_of(lines[place]):
        start = max(start for start in starts() if start <= place)
        return range(start + 1, min(end for end in starts() if end > place) + 1)
    return range(change.wrong, change.wrong + 1)


def sum_of(line: bytes) -> int:
    return crc32(line) & 0xFFFF


def test_an_altered_record_whose_sum_is_unchanged_is_refused() -> None:
    """The digest refuses it. The sum cannot tell which line it is, so a line of its group is named."""
    place = starts()[1] + 1
    for number in count():
        altered = original()[1][place].replace(b"}\n", b',"x":%d}\n' % number)
        if sum_of(altered) == sum_of(original()[1][place]):
            break
    lines = list(original()[1])
    lines[place] = altered
    change = Change(lines, place + 1, in_last_group=False)
    with pytest.raises(DamagedError) as caught:
        read(lines, original()[2])
    named = re.search(r"\bline (\d+)\b", str(caught.value))
    assert named is not None
    assert int(named[1]) in lines_to_name(change)
    assert len(lines_to_name(change)) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_changed_is_refused_by_its_line(kind: str) -> None:
    """Beside its head, no changed journal is gone on with at all."""
    head = original()[2]
    changes = list(KINDS[kind]())
    assert len(changes) >= head.groups - 1
    for change in changes:
        if kind == "doubled" and change.wrong > len(original()[1]):
            # the last line once more, behind all that its head counts: nothing is lost by cutting it
            assert read(change.lines, head).commits == head.groups
            continue
        with pytest.raises((DamagedError, ConfigurationError)) as caught:
            read(change.lines, head)
        if change.wrong > 1:  # a first line that was changed is no first line of a journal any more
            assert isinstance(caught.value, DamagedError)
            named = re.search(r"\bline (\d+)\b", str(caught.value))
            assert named is not None, str(caught.value)
            assert int(named[1]) in lines_to_name(change), (str(caught.value), change.wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_journal_whose_head_is_behind_only_the_last_group_is_cut(kind: str) -> None:
    """After a power cut the head may be older: then a broken last group is a torn end, and no write is sent twice."""
    exchange, lines, _ = original()
    start = starts()[-2]
    torn: set[bytes] = set()
    for change in KINDS[kind]():
        try:
            replay = read(change.lines, Head(1, digest_of_group(1)))
        except (DamagedError, ConfigurationError):
            continue
        assert change.in_last_group
        if change.wrong > len(lines):  # the last line once more
            assert replay.good_bytes == sum(map(len, lines))
        else:
            assert replay.good_bytes == sum(map(len, lines[:start]))
        torn.add(b"".join(change.lines))
    assert bool(torn) == ("group" not in kind)
    for text in sorted(torn):
        disk = Disk()
        disk.data = text
        one_process(disk, exchange, ROWS, concurrency=4)
        assert disk.replayed().counts().done == len(ROWS)
    assert set(Counter(exchange.applied).values()) == {1}
    assert len(exchange.applied) == len(ROWS)


def digest_of_group(number: int) -> str:
    _, lines, _ = original()
    replay = Replay()
    replay.begin(lines[0])
    for line in lines[1:]:
        replay.feed(line)
        if replay.commits == number:
            break
    return replay.digest


def test_a_journal_cut_back_at_the_end_of_any_group_is_refused() -> None:
    """Its chain is whole: what is missing is told by its head."""
    _, lines, head = original()
    for number, end in enumerate(starts()[:-1]):
        assert read(list(lines[:end]), None).commits == number
        with pytest.raises(DamagedError, match=rf"ends with group {number} \(line {end}\).* there were {head.groups}:"):
            read(list(lines[:end]), head)
    assert read(list(lines), head).commits == head.groups


def test_a_last_group_that_its_head_counts_was_durable() -> None:
    """Torn at any byte it is refused, for its writes may have left; one that the head does not count is cut."""
    _, lines, head = original()
    start = starts()[-2]
    before, last = b"".join(lines[:start]), b"".join(lines[start:])
    behind = Head(head.groups - 1, digest_of_group(head.groups - 1))
    for size in range(len(last)):
        text = (before + last[:size]).splitlines(keepends=True)
        assert read(text, behind).good_bytes == len(before)
        with pytest.raises(DamagedError, match="its head says"):
            read(text, head)


def test_the_head_of_another_journal_is_noticed() -> None:
    """A head that is behind must name a group of this very journal."""
    _, lines, head = original()
    for number in (1, head.groups // 2, head.groups):
        with pytest.raises(DamagedError, match=f"starts group {number}, which is not the one that the head names"):
            read(list(lines), Head(number, "0" * 32))

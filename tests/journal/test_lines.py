"""The lines of a journal, read and written: what they add up to, what is torn, what is damaged."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fielding_async import (
    Action,
    Complete,
    ConfigurationError,
    LaunchNow,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    Pause,
    Relaunch,
    Resume,
    SkippedError,
    Update,
)
from fielding_async.journal.lines import (
    end_line,
    failure_line,
    header_line,
    intent_line,
    row_digest,
    settled_line,
)
from fielding_async.journal.replay import DamagedError, Replay, begins_a_journal, read_binding
from fielding_async.journal.values import Binding, EndState, JournalCounts
from tests.tools.journal_text import unchained_commit
from tests.tools.sessions import END, REF, run_value

ACTIONS: list[Action] = [LaunchNow(), Pause(), Resume(), Complete(), Relaunch(), Update(end_fielding_at=END)]
ACTIONS += [Update(start_fielding_at=END)]
ACTIONS += [Update(start_fielding_at=datetime(2030, 1, 1, tzinfo=UTC), end_fielding_at=END)]
BASE = run_value(etag='W/"7 \\ \N{SNOWMAN}"', last_changed_by='a "b"')


def outcome(effect: Any = "accepted") -> Outcome:
    return Outcome(ref=REF, action=None, effect=effect, etag='"8"', requests=2, conflicts=0, trace_id="a" * 32)


def replayed(*lines: bytes) -> Replay:
    replay = Replay()
    for line in lines:
        replay.feed(line)
    return replay


@pytest.mark.parametrize("action", ACTIONS, ids=str)
def test_an_intent_comes_back_as_it_was(action: Action) -> None:
    """The action and all of the run that a judgement rests on survive the journal."""
    line = intent_line(4, 77, action, BASE)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    replay = replayed(unchained_commit(1), line)
    found, base = replay.open[4]
    assert found == action
    assert base == BASE
    assert isinstance(found, Update) is isinstance(action, Update)
    if isinstance(found, Update):
        assert found.texts(base) == found.texts(BASE)


def test_bounds_are_sent_again_as_the_server_wrote_them() -> None:
    """The texts of the dates survive, whatever their precision."""
    base = run_value(start_text="2030-01-01T09:00:01+01:00", end_text="2030-01-31T08:00:01.0050000Z")
    _, found = replayed(intent_line(0, 2, Pause(), base)).open[0]
    assert (found.start_text, found.end_text) == (base.start_text, base.end_text)
    assert found == base


def test_the_last_record_of_a_row_counts() -> None:
    """An intent is open until it is settled or its row ends; a new one takes the place of the old."""
    first, second = intent_line(3, 5, Pause(), BASE), intent_line(3, 5, Pause(), run_value(etag='"9"'))
    assert replayed(first, second).open[3][1].etag == '"9"'
    assert not replayed(first, settled_line(3, 5)).open
    done = replayed(first, settled_line(3, 5), second, end_line(3, 5, Pause(), outcome()))
    assert not done.open
    assert done.state(3) == "done"
    assert done.counts() == JournalCounts(done=1)
    assert done.outcomes == {("pause", "accepted"): 1}
    assert [done.state(number) for number in (0, 2, 4, 10**9)] == [None] * 4
    assert len(done) == 4
    assert replayed(end_line(3, 5, Pause(), outcome()), first).open == {}


def test_every_end_is_counted() -> None:
    """Rows are counted by how they ended, and by action and outcome."""
    problem = NotFoundError("404", status=404, trace_id="b" * 32)
    ends: list[tuple[EndState, Exception]] = [
        ("failed", problem),
        ("unknown", OutcomeUnknownError("lost")),
        ("skipped", SkippedError("not sent", because=problem)),
    ]
    lines = [failure_line(number, 9, REF, Complete(), state, error) for number, (state, error) in enumerate(ends)]
    effects = ("accepted", "already", "unconfirmed")
    lines += [end_line(number, 9, Pause(), outcome(effect)) for number, effect in enumerate(effects, 3)]
    lines += [failure_line(6, 1, None, None, "failed", ConfigurationError("bad")), intent_line(7, 8, Pause(), BASE)]
    replay = Replay(keep=True)
    for line in lines:
        replay.feed(line)
    assert replay.counts() == JournalCounts(done=3, failed=2, unknown=1, skipped=1, in_flight=1)
    assert replay.counts().ended == 7
    assert replay.outcomes[("complete", "skipped")] == 1
    assert replay.outcomes[("?", "failed")] == 1
    rows = {row.number: row for row in [*replay.rows, *replay.without_end()]}
    assert sorted(rows) == [0, 1, 2, 6, 7]
    assert (rows[0].ref, rows[0].action, rows[0].error, rows[0].trace_id) == (
        REF,
        Complete(),
        "NotFoundError",
        "b" * 32,
    )
    assert (rows[6].ref, rows[6].action, rows[6].message) == (None, None, "bad")
    assert rows[7].state == "in flight"


def test_other_rows_are_found_out() -> None:
    """A row with another digest than the one on record differs; one that is not on record does not."""
    replay = replayed(intent_line(1, 5, Pause(), BASE), end_line(3, 6, Pause(), outcome()), settled_line(4, 7))
    assert [replay.differs(number, 5) for number in range(6)] == [False, False, False, True, True, False]


def test_digests_tell_rows_apart() -> None:
    """Each action, date and id makes another digest."""
    digests = {row_digest(REF, action) for action in ACTIONS}
    assert len(digests) == len(ACTIONS)
    other = run_value().id + "2"
    assert row_digest(type(REF)(101, "0" * 26, "1" * 26, other), Pause()) not in digests


def test_the_first_line_binds() -> None:
    """It holds format, exchange, API version and plan; another format, or something else, is refused."""
    binding = Binding("https://api.cint.com/v1", "2025-12-18", "digest")
    assert read_binding(header_line(binding)) == binding
    assert read_binding(header_line(Binding("u", "v"))).plan is None
    with pytest.raises(ConfigurationError, match="format 3"):
        read_binding(header_line(binding).replace(b'journal":2', b'journal":3'))
    for junk in (b"", b"{}\n", b"[]\n", b"5\n", b"account_id,project_id\n", b"\xff\n", b'{"fielding_journal":1}\n'):
        with pytest.raises(ConfigurationError, match="not a journal"):
            read_binding(junk)
    assert begins_a_journal(b"")
    assert begins_a_journal(b'{"field')
    assert begins_a_journal(header_line(binding))
    assert not begins_a_journal(b"account_id")


LINES = [
    unchained_commit(1),
    intent_line(0, 5, Pause(), BASE),
    intent_line(1, 6, Update(end_fielding_at=END), BASE),
    unchained_commit(2),
    end_line(0, 5, Pause(), outcome()),
    settled_line(1, 6),
    failure_line(2, 7, REF, Pause(), "failed", NotFoundError("404", status=404)),
]


def test_a_tail_torn_at_any_byte_is_cut() -> None:
    """Whatever part of the last group is there: its complete lines count, the rest is beyond `good_bytes`."""
    whole = b"".join(LINES)
    ends = [0]
    for line in LINES:
        ends.append(ends[-1] + len(line))
    for size in range(len(whole) + 1):
        replay = replayed(*whole[:size].splitlines(keepends=True))
        assert replay.good_bytes == max(end for end in ends if end <= size)


@given(st.data())
def test_torn_pages_are_cut(data: st.DataObject) -> None:
    """A last group of which pages are missing or were never written is cut from its first unreadable line."""
    last = bytearray(b"".join(LINES[3:]))
    start, end = sorted((data.draw(st.integers(0, len(last))), data.draw(st.integers(0, len(last)))))
    last[start : end if data.draw(st.booleans()) else len(last)] = bytes(end - start)
    replay = replayed(*LINES[:3], *bytes(last).splitlines(keepends=True))
    assert replay.good_bytes >= sum(map(len, LINES[:3]))
    assert replay.state(5) is None


@pytest.mark.parametrize("place", range(3))
def test_a_line_changed_in_the_middle_is_damage(place: int) -> None:
    """An unreadable line before a later group was durable once, and is refused."""
    lines = [*LINES[:place], b"x" + LINES[place], *LINES[place + 1 :]]
    with pytest.raises(DamagedError, match=f"line {place + 2} cannot be read"):
        replayed(*lines)


FIELDS = st.sampled_from(["intent", "end", "row", "as", "do", "action", "settled", "commit", "ref", "error"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(LEAVES, lambda inner: st.dictionaries(FIELDS, inner), max_leaves=8))
def test_no_record_is_too_strange(record: Any) -> None:
    """A line of valid JSON is taken or refused as what it is; it raises nothing else, and never fills the memory."""
    replay = Replay()
    try:
        replay.feed(json.dumps(record).encode() + b"\n")
    except DamagedError:
        assert replay.good_bytes == 0
    assert len(replay) <= 1 << 27


def test_damage_is_named_before_anything_is_fed_further() -> None:
    """A whole record that is none raises from the line itself, not from a group behind it."""
    replay = Replay()
    with pytest.raises(DamagedError, match="line 2"):
        replay.feed(b'{"note":1}\n')

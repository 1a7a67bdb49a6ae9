"""The counts that a shard's commits keep are those that its journal says."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from fielding_async import BadRequestError, FieldingError, Pause
from fielding_async.core.models import Effect, Outcome
from fielding_async.journal.chain import group_bytes
from fielding_async.journal.lines import (
    end_line,
    event_line,
    failure_line,
    header_line,
    intent_line,
    row_digest,
    settled_line,
)
from fielding_async.journal.replay import Replay
from fielding_async.journal.values import Binding
from fielding_async.plans.values.shard_counts import ShardCounts
from tests.plans.values.lines import BASE, NOW
from tests.tools.sessions import REF

ACTION = Pause()
DIGEST = row_digest(REF, ACTION)


def _intent(number: int) -> bytes:
    return intent_line(number, DIGEST, ACTION, BASE, REF)


def _done(number: int) -> bytes:
    effects: list[Effect] = ["accepted", "already", "unconfirmed"]
    outcome = Outcome(
        ref=REF, action=ACTION, effect=effects[number % 3], etag=None, requests=1, conflicts=0, trace_id="0" * 32
    )
    return end_line(number, DIGEST, ACTION, outcome)


def _failed(state: str) -> Callable[[int], bytes]:
    error: FieldingError = BadRequestError('no\n{"stuck":5,"row":"00000000","as":"stuck"', status=400)
    return lambda number: failure_line(number, DIGEST, REF, ACTION, state, error)  # type: ignore[arg-type]


MAKERS: list[Callable[[int], bytes]] = [
    _intent,
    _intent,
    _done,
    lambda number: settled_line(number, DIGEST),
    lambda number: event_line("outage", None, "for\n" + '{"end":1,"row":"00000000","as":"failed"'),
    *map(_failed, ("failed", "unknown", "skipped", "stuck")),
]
Groups = st.lists(st.lists(st.tuples(st.sampled_from(MAKERS), st.integers(0, 5)), min_size=1, max_size=6), max_size=6)


@given(groups=Groups, taken_over_after=st.integers(0, 6))
def test_the_counts_are_those_of_the_journal(
    groups: list[list[tuple[Callable[[int], bytes], int]]], taken_over_after: int
) -> None:
    """Whatever the records, and whoever took the shard over in between. A row ends once, as in a batch."""
    replay = Replay(keep=True)
    replay.begin(header_line(Binding("https://example.com", "2025-12-18")))
    counts = ShardCounts()
    ended: set[int] = set()
    digest = replay.digest
    for place, group in enumerate(groups):
        lines: list[bytes] = []
        for make, number in group:
            if number not in ended:
                lines.append(make(number))
                ended |= {number} if lines[-1].startswith(b'{"end"') else set()
        if not lines:
            continue
        blob, digest = group_bytes(replay.commits + 1, NOW, lines, digest)
        counts.add(blob)
        for line in blob.splitlines(keepends=True):
            replay.feed(line)
        if place == taken_over_after:
            counts = ShardCounts(replay)
        assert counts.counts == replay.counts()

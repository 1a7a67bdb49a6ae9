"""How many rows of a shard ended in each way, kept up group by group, so that a status reads no journal.

Each group commit writes these counts to the shard's row. They are for display: what is resumed is decided by `Replay`,
which also sets them right when a shard is taken over.
"""

import re
from collections.abc import Iterable

from fielding_async.journal.replay import Replay
from fielding_async.journal.values import JournalCounts

__all__ = ["ShardCounts"]

# how `journal.lines` begins its records; a quote within a text is escaped, so no text can look like one
_RECORD = re.compile(
    rb'^\{"(?:(end)":(\d+),"row":"[0-9a-f]{8}","as":"([a-z]+)"|(intent|settled|stuck)":(\d+),)', re.MULTILINE
)
_STATE_OF = {b"accepted": "done", b"already": "done", b"unconfirmed": "done"}


class ShardCounts:
    """The counts of one shard's journal."""

    __slots__ = ("_ended", "_in_flight", "_stuck")

    def __init__(self, replay: Replay | None = None) -> None:
        counts = JournalCounts() if replay is None else replay.counts()
        self._ended: dict[str, int] = {
            "done": counts.done,
            "failed": counts.failed,
            "unknown": counts.unknown,
            "skipped": counts.skipped,
        }
        without_end = [] if replay is None else list(replay.without_end())
        self._stuck: set[int] = {row.number for row in without_end if row.state == "stuck"}
        self._in_flight: set[int] = {row.number for row in without_end if row.state != "stuck"}

    def add(self, lines: bytes) -> None:
        """Take the lines of a group that is about to be written."""
        found: Iterable[tuple[bytes, ...]] = _RECORD.findall(lines)
        for end, ended, outcome, what, number in found:
            if end:
                place = int(ended)
                state = _STATE_OF.get(outcome) or outcome.decode()
                self._ended[state] = self._ended.get(state, 0) + 1
                self._in_flight.discard(place)
                if self._stuck:
                    self._stuck.discard(place)
            elif what == b"intent":
                self._in_flight.add(int(number))
                if self._stuck:
                    self._stuck.discard(int(number))
            elif what == b"settled":
                self._in_flight.discard(int(number))
            else:
                self._stuck.add(int(number))

    @property
    def counts(self) -> JournalCounts:
        """The counts now."""
        in_flight = len(self._in_flight - self._stuck) if self._stuck else len(self._in_flight)
        return JournalCounts(**self._ended, in_flight=in_flight, stuck=len(self._stuck))

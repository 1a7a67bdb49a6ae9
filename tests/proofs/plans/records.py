"""What a judge compares: the plan, the exchange's log of applied writes, the intents on record, and the reports."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import define, field, frozen

__all__ = ["AppliedWrite", "Evidence", "PlannedRow", "RecordedIntent", "ReportedRow", "ShardLog", "read_shard"]


@frozen
class PlannedRow:
    """A row as it was submitted. `what`: the action's name, and for an update its dates."""

    number: int
    run: str
    what: str


@frozen
class AppliedWrite:
    """A write that the exchange has applied, in the exchange's order. `what`: as that of a `PlannedRow`."""

    seq: int
    run: str
    what: str
    etag_before: str
    etag_after: str
    trace: str


@frozen
class RecordedIntent:
    """A write that was about to leave: under which ETag, and in which epoch of its shard."""

    number: int
    etag: str
    epoch: int


@frozen
class ReportedRow:
    """How a row ended, as the plan says. `state`: `done`, `failed`, `unknown`, `skipped`, or another if it has not."""

    number: int
    state: str
    effect: str = ""
    trace: str = ""
    etag: str | None = None


@define
class Evidence:
    """All that is known after a run. `counts`: the plan's own counts, by state."""

    rows: Sequence[PlannedRow]
    writes: Sequence[AppliedWrite]
    intents: Mapping[int, Sequence[RecordedIntent]]
    reports: Sequence[ReportedRow]
    counts: Mapping[str, int]


@define
class ShardLog:
    """The records of one shard. `taken_over`: rows that were in flight when another epoch began, by row number.

    `ends`: how many ends each row has on record.
    """

    intents: dict[int, list[RecordedIntent]] = field(factory=dict)
    taken_over: dict[int, int] = field(factory=dict)
    ends: dict[int, int] = field(factory=dict)


def _records(lines: bytes) -> Iterator[dict[str, object]]:
    for line in lines.splitlines():
        yield json.loads(line)


def read_shard(groups: Iterable[tuple[int, bytes]], numbers: Sequence[int]) -> ShardLog:
    """Read the groups of a shard, each with its epoch, in order. `numbers`: the plan's numbers of the shard's rows."""
    log = ShardLog()
    in_flight: dict[int, int] = {}  # row: epoch of its last intent
    before = 0
    for epoch, lines in groups:
        if epoch != before:
            for number, since in in_flight.items():
                if since < epoch:
                    log.taken_over[number] = log.taken_over.get(number, 0) + 1
            before = epoch
        for record in _records(lines):
            if "intent" in record:
                number = numbers[int(str(record["intent"]))]
                log.intents.setdefault(number, []).append(RecordedIntent(number, str(record["etag"]), epoch))
                in_flight[number] = epoch
            elif "end" in record:
                number = numbers[int(str(record["end"]))]
                log.ends[number] = log.ends.get(number, 0) + 1
                in_flight.pop(number, None)
            elif "settled" in record:
                in_flight.pop(numbers[int(str(record["settled"]))], None)
    return log

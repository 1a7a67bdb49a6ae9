"""The report of a plan: its counts, and the events of all shards and workers as one history."""

from datetime import datetime, timedelta

from fielding_async import JournalCounts, JournalEvent, Pause
from fielding_async.journal.lines import event_line, pause_line
from fielding_async.plans import PostgresPlans
from fielding_async.plans.reading.events import ShardEvents, merged

from .stored import BASE_URL, BEGAN, Shard, StoredPlan, ref_of, store
from .test_rows import two_shards


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def outage(seconds: float, reason: str = "refused") -> JournalEvent:
    return JournalEvent(time=at(seconds), kind="outage", seconds=None, reason=reason)


def back(seconds: float, reason: str = "refused") -> JournalEvent:
    return JournalEvent(time=at(seconds), kind="back", seconds=1.0, reason=reason)


def pause(began: float, ended: float, *, count: int = 1, seconds: float | None = None) -> JournalEvent:
    return JournalEvent(
        time=at(ended),
        kind="pause",
        seconds=ended - began if seconds is None else seconds,
        reason="429",
        began_at=at(began),
        ended_at=at(ended),
        count=count,
    )


def shard(*groups: tuple[int, float, list[JournalEvent]]) -> ShardEvents:
    """A shard's groups: epoch, time and events."""
    found = ShardEvents()
    for epoch, time, events in groups:
        found.add_group(epoch, at(time), events)
    found.end()
    return found


def told(*shards: ShardEvents) -> list[tuple[str, float, float | None]]:
    return [(event.kind, (event.time - BEGAN).total_seconds(), event.seconds) for event in merged(shards)]


def test_an_outage_that_several_shards_met_is_one() -> None:
    """It lasts from the first to the last of them; another one later is another one."""
    first = shard((1, 1, [outage(1)]), (1, 9, [back(9)]), (1, 20, [outage(20)]), (1, 22, [back(22)]))
    second = shard((1, 2, [outage(2)]), (1, 12, [back(12)]))
    third = shard((1, 3, [outage(3), back(4)]))
    assert told(first, second, third) == [("outage", 1, None), ("back", 12, 11), ("outage", 20, None), ("back", 22, 2)]


def test_an_outage_without_an_end_on_record_lasts() -> None:
    """Nothing that others met meanwhile is another outage."""
    first = shard((1, 1, [outage(1)]))
    second = shard((1, 0, [outage(0), back(0.5)]), (1, 5, [outage(5)]), (1, 6, [back(6)]))
    assert told(first, second) == [("outage", 0, None), ("back", 0.5, 0.5), ("outage", 1, None)]


def test_an_outage_ends_with_a_holder_that_does_not_meet_it() -> None:
    """A worker that died in an outage leaves no end; the next one either meets it, and it goes on, or it is over."""
    assert told(shard((1, 1, [outage(1)]), (2, 8, []))) == [("outage", 1, None), ("back", 8, 7)]
    goes_on = shard((1, 1, [outage(1)]), (2, 8, [outage(8)]), (2, 9, []), (2, 10, [back(10)]))
    assert told(goes_on) == [("outage", 1, None), ("back", 10, 9)]
    assert told(shard((1, 1, [outage(1)]), (1, 8, []))) == [("outage", 1, None)]


def test_pauses_that_overlap_are_one() -> None:
    """Whichever shard has it on record; of many pauses in one record none is counted twice."""
    one, same, later = pause(1, 4), pause(1.5, 4.5), pause(9, 10)
    assert told(shard((1, 5, [one, later])), shard((1, 5, [same]))) == [("pause", 4.5, 3.5), ("pause", 10, 1)]
    (many,) = merged([shard((1, 60, [pause(0, 60, count=6, seconds=12)])), shard((1, 50, [pause(10, 50, count=4)]))])
    assert (many.count, many.seconds, many.began_at, many.ended_at) == (6, 40, at(0), at(60))
    assert merged([shard((1, 60, [one])), shard()]) == (one,)


async def test_the_report_counts_all_shards(postgres_url: str) -> None:
    """Counts, outcomes by action, times, and events of all shards."""
    plan = two_shards()
    first, second = plan.shards
    first.group(event_line("outage", None, "refused"), seconds=10)
    first.group(event_line("back", 2.0, "refused"), seconds=2)
    second.group(
        pause_line(3.0, "429", began=at(20), ended=at(23), count=1), event_line("outage", None, "again"), seconds=30
    )
    await store(postgres_url, plan)
    async with PostgresPlans(postgres_url) as plans:
        report = await plans.report("plan")
    assert report.counts == JournalCounts(done=2, unknown=1, stuck=1, in_flight=1)
    assert (report.name, report.rows, report.not_begun, report.shards) == ("plan", 7, 2, 2)
    assert report.outcomes == {("pause", "accepted"): 1, ("resume", "accepted"): 1, ("pause", "unknown"): 1}
    assert [(event.kind, event.reason) for event in report.events] == [
        ("outage", "refused"),
        ("back", "refused"),
        ("pause", "429"),
        ("outage", "again"),
    ]
    assert (report.began_at, report.last_written_at) == (at(1), at(31))
    assert (report.base_url, report.state, report.finished_at) == (BASE_URL, "sealed", None)


async def test_the_report_of_a_plan_that_was_not_begun(postgres_url: str) -> None:
    """It has no times, no events, and all rows are not begun."""
    await store(postgres_url, StoredPlan([Shard([(0, ref_of(1), Pause())]), Shard([])]))
    async with PostgresPlans(postgres_url) as plans:
        report = await plans.report("plan")
        assert (report.not_begun, report.counts, report.began_at, report.events) == (1, JournalCounts(), None, ())
        assert [row.state async for row in plans.rows("plan", all=True)] == ["not begun"]

"""The rows and the undo of plans whose journals were written by hand, on a real PostgreSQL."""

import asyncio

import pytest

from fielding_async import ConfigurationError, OutcomeUnknownError, Pause, Resume
from fielding_async.core.actions import PREVIOUS, Guarded
from fielding_async.journal.lines import settled_line
from fielding_async.plans import PlanRow, PostgresPlans, UndoPlan

from .stored import Shard, StoredPlan, database, ref_of, store

pytestmark = pytest.mark.once

UNKNOWN = OutcomeUnknownError("PATCH /x: no reply", ref=ref_of(2))


def two_shards() -> StoredPlan:
    """Seven rows: two accepted, one unknown of which a late holder knew more, stuck, in flight, settled, not begun."""
    first = Shard([(0, ref_of(1), Pause()), (3, ref_of(1), Resume()), (4, ref_of(2), Pause()), (9, ref_of(3), Pause())])
    first.group(first.intent(0, 4), first.intent(2, 7))
    first.group(first.accepted(0, 5), first.intent(1, 5, "paused"))
    first.group(first.accepted(1, 6), first.ended_with(2, "unknown", UNKNOWN))
    first.group(first.intent(3, 2), settled_line(3, 77))
    first.late = [(1, "host-a/1", b"{not JSON\n" + first.intent(3, 2) + first.accepted(2, 8))]
    second = Shard([(1, ref_of(4), Pause()), (2, ref_of(5), Pause()), (5, ref_of(6), Pause())])
    second.group(second.intent(0, 3), second.ended_with(1, "stuck", ConfigurationError("x")))
    return StoredPlan([first, second])


def told(rows: list[PlanRow]) -> list[tuple[int, str]]:
    return [(row.number, row.effect or row.state) for row in rows]


async def read(plans: PostgresPlans, *, all: bool = True) -> list[PlanRow]:  # noqa: A002
    return [row async for row in plans.rows("plan", all=all)]


async def test_rows_have_their_numbers_in_the_plan(postgres_url: str) -> None:
    """Each shard's rows come as they ended, then those without an end; with `all` those not begun, too."""
    await store(postgres_url, two_shards())
    async with PostgresPlans(postgres_url) as plans:
        rows = await read(plans)
        assert told(rows) == [
            (0, "accepted"),
            (3, "accepted"),
            (4, "unknown"),
            (9, "not begun"),
            (2, "stuck"),
            (1, "in flight"),
            (5, "not begun"),
        ]
        assert [row.ref for row in rows] == [ref_of(run) for run in (1, 1, 2, 3, 5, 4, 6)]
        assert [row.shard for row in rows] == [0, 0, 0, 0, 1, 1, 1]
        assert {row.number: row.action for row in rows} == {
            number: Resume() if number == 3 else Pause() for number in (0, 1, 2, 3, 4, 5, 9)
        }
        assert told(await read(plans, all=False)) == [(4, "unknown"), (2, "stuck"), (1, "in flight")]


async def test_a_row_has_what_a_late_holder_knew(postgres_url: str) -> None:
    """It is beside the row, with the state on record, and changes nothing about that. Intents say nothing."""
    await store(postgres_url, two_shards())
    async with PostgresPlans(postgres_url) as plans:
        late = {row.number: row.late for row in await read(plans) if row.late}
        assert late.keys() == {4}
        (known,) = late[4]
        assert (known.number, known.knew, known.on_record, known.etag) == (4, "accepted", "unknown", 'W/"8"')
        assert (known.holder, known.shard, known.epoch, known.ref) == ("host-a/1", 0, 1, ref_of(2))
        assert (await plans.report("plan")).late == late[4]


async def test_reading_is_in_statements_of_any_size(postgres_url: str) -> None:
    """Groups are fetched some at a time, and none is left out or taken twice; no connection is held meanwhile."""
    shard = Shard([(number * 2, ref_of(number), Pause()) for number in range(150)])
    for place in range(100):
        shard.group(shard.intent(place, 4))
        shard.group(shard.accepted(place, 5))
    await store(postgres_url, StoredPlan([shard]))
    async with PostgresPlans(postgres_url) as plans:
        found = plans.rows("plan", all=True)
        first = await anext(found)
        others = await asyncio.gather(*(read(plans) for _ in range(12)))  # more than there are connections
        rows = [first, *[row async for row in found]]
        assert [row.number for row in rows] == [2 * number for number in range(150)]
        assert [row.state for row in rows] == ["done"] * 100 + ["not begun"] * 50
        assert all(other == rows for other in others)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM fielding_plan_group WHERE number = 0", r"group 1: is damaged: group 0 is missing"),
        ("DELETE FROM fielding_plan_group WHERE number = 2", r"group 3: is damaged: group 2 is missing"),
        ("DELETE FROM fielding_plan_group WHERE number = 3", r"shard 0: is damaged: it ends with group 2"),
        ("DELETE FROM fielding_plan_group", r"shard 0: is damaged: it ends before its first line"),
        (
            "UPDATE fielding_plan_group SET lines = overlay(lines placing 'X'::bytea from 350) WHERE number = 2",
            r"shard 0, group 2: is damaged: line \d+ ",
        ),
        (
            "UPDATE fielding_plan_group SET lines=(SELECT lines FROM fielding_plan_group WHERE number=1)WHERE number=2",
            r"group 2: is damaged: line \d+ starts group 1: it is there twice",
        ),
        ("UPDATE fielding_plan_group SET lines = '' WHERE number = 2", r"group 2: is damaged: it is not as it was"),
        (
            "UPDATE fielding_plan_group SET lines = substring(lines for 400) WHERE number = 1",
            r"group 1: is damaged: line 3 is not record",
        ),
        ("UPDATE fielding_plan_group SET lines = 'x' WHERE number = 0", r"group 0: is damaged: is not a journal of"),
        (
            "UPDATE fielding_plan_shard SET digest = repeat('0', 32)",
            r"group 3: is damaged: line \d+ starts group 3, whi",
        ),
        ("DELETE FROM fielding_plan_row WHERE place = 2", r"shard 0: is damaged: it has 3 rows, and 2 of them are th"),
    ],
)
async def test_a_damaged_record_is_refused(postgres_url: str, damage: str, said: str) -> None:
    """The plan, the shard and the group are named, by each of the three methods."""
    shard = Shard([(number, ref_of(number), Pause()) for number in range(3)])
    for place in range(3):
        shard.group(shard.intent(place, 4), shard.accepted(place, 5))
    await store(postgres_url, StoredPlan([shard]))
    async with database(postgres_url) as found, found.connection() as connection:
        await connection.run(damage)
    async with PostgresPlans(postgres_url) as plans:
        with pytest.raises(ConfigurationError, match=rf"plan 'plan': .*{said}.*restore the tables"):
            await read(plans)
        with pytest.raises(ConfigurationError, match=said):
            await plans.undo("plan")
        if "fielding_plan_row" not in damage:  # the report needs no numbers of rows
            with pytest.raises(ConfigurationError, match=said):
                await plans.report("plan")


async def test_a_plan_that_is_deleted_meanwhile_is_not_damaged(postgres_url: str) -> None:
    """Who reads it is told what happened."""
    shards = [Shard([(0, ref_of(1), Pause())]), Shard([(1, ref_of(2), Pause())])]
    for shard in shards:
        shard.group(shard.intent(0, 4), shard.accepted(0, 5))
    await store(postgres_url, StoredPlan(shards))
    async with PostgresPlans(postgres_url) as plans:
        rows = plans.rows("plan")
        found = plans.rows("plan", all=True)
        await anext(found)
        await plans.delete("plan")
        with pytest.raises(ConfigurationError, match=r"plan 'plan': was deleted while it was read"):
            await anext(found)
        with pytest.raises(ConfigurationError, match="there is no plan of this name"):
            await anext(rows)


async def test_undo_takes_back_each_shard(postgres_url: str) -> None:
    """The last row of a run comes first, with the numbers of the plan, and `pairs` are what `submit` takes."""
    first = Shard([(1, ref_of(1), Pause()), (4, ref_of(1), Resume())])
    first.group(first.intent(0, 4), first.accepted(0, 5))
    first.group(first.intent(1, 5, "paused"), first.accepted(1, 6))
    second = Shard([(0, ref_of(2), Pause()), (2, ref_of(3), Pause())])
    second.group(second.intent(0, 7), second.accepted(0, 8), second.accepted(1, 8, "already"))
    await store(postgres_url, StoredPlan([first, second]))
    async with PostgresPlans(postgres_url) as plans:
        undo = await plans.undo("plan")
        assert isinstance(undo, UndoPlan)
        assert [row.number for row in undo.rows] == [4, 1, 0]
        assert undo.pairs == (
            (ref_of(1), Guarded(Pause(), 'W/"6"')),
            (ref_of(1), Guarded(Resume(), PREVIOUS)),
            (ref_of(2), Guarded(Resume(), 'W/"8"')),
        )
        assert [(row.number, row.reason) for row in undo.listed] == [
            (2, "it changed nothing: the run was already in the wanted state")
        ]
        assert (await plans.submit(undo.pairs, plan="plan.undo")).rows == 3


async def test_undo_waits_for_the_end_of_a_plan(postgres_url: str) -> None:
    """It is refused while rows have not ended or a lease is held; a cancelled plan is taken back without a lease."""
    plan = two_shards()
    await store(postgres_url, plan)
    async with PostgresPlans(postgres_url) as plans:
        with pytest.raises(ConfigurationError, match=r"'plan': is not finished \(4 of its 7 rows have not ended\)"):
            await plans.undo("plan")
        plan.state, plan.shards[0].holder = "cancelled", "host-a/1"
        await store(postgres_url, plan)
        with pytest.raises(ConfigurationError, match=r"is being worked on \(1 of its 2 shards are leased\)"):
            await plans.undo("plan")
        plan.shards[0].holder = None
        await store(postgres_url, plan)
        undo = await plans.undo("plan")
        assert [row.number for row in undo.rows] == [3, 0]
        assert [row.number for row in undo.listed] == [1, 2, 4]
        plan.state = "deleting"
        await store(postgres_url, plan)
        with pytest.raises(ConfigurationError, match="cannot be read: its deletion has started"):
            await plans.undo("plan")

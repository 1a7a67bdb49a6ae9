"""Rows with refs, actions, dates and ids of classes of the caller's own, and with unusual texts."""

from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import frozen

from fielding_async import (
    Action,
    ConfigurationError,
    Done,
    Pause,
    RunRef,
    SkippedError,
    Update,
    journal_rows,
    read_journal,
)
from fielding_async.core.actions import StatusAction
from fielding_async.core.wire.replies import Attempted
from fielding_async.http.transport import Outgoing
from fielding_async.sandbox import Sandbox
from tests.tools import virtual_time
from tests.tools.batches import performed
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk
from tests.tools.journal_lives import one_process

Rows = list[tuple[RunRef, Action]]


class Archive(StatusAction):
    name: ClassVar[str] = "archive"
    target: ClassVar[str] = "archived"


async def test_an_action_of_the_callers_own_is_a_bad_row(sandbox: Sandbox, path: Path) -> None:
    """What is no action of the exchange is a failed row, and never on record as a write in flight."""
    rows: Rows = [(sandbox.add_run(status="live"), Archive())]
    (done,) = await performed(sandbox, rows, path)
    assert isinstance(done.error, ConfigurationError)
    assert not sandbox.requests
    assert read_journal(path).counts.failed == 1


class RaisesInRepr:
    def __repr__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize("pair", [(ref_of(1), RaisesInRepr()), RaisesInRepr(), (RaisesInRepr(), Pause())])
def test_a_row_whose_repr_raises_ends_the_input(pair: Any) -> None:
    """What its repr raises comes out of the iteration after the rows before it; nothing hangs and nothing is lost."""
    exchange = FakeExchange()

    async def main() -> list[Done]:
        found: list[Done] = []

        async def consume() -> None:
            async with session_on(exchange) as fielding:
                rows: Any = [(ref_of(0), Pause()), pair, (ref_of(2), Pause())]
                async with fielding.perform_all(rows) as batch:
                    found.extend([done async for done in batch])

        with pytest.raises(ZeroDivisionError):
            await consume()
        return found

    virtual_time.run(main())
    assert exchange.times(0) == 1


async def test_strange_texts_survive(sandbox: Sandbox, path: Path) -> None:
    """Ids, messages and ETags of any characters are on record as they are, and the journal stays readable."""
    names = ["r\N{SNOWMAN}n", "x" * 4000, "\N{GRINNING FACE}" * 3, '"quoted"', "a:b@c;d,e", "{}"]
    rows: Rows = [(RunRef(101, "0" * 26, "1" * 26, name), Pause()) for name in names]
    found = await performed(sandbox, rows, path)
    assert all(done.error is not None for done in found)
    assert [
        row.ref and row.ref.fielding_run_id for row in sorted(journal_rows(path), key=lambda row: row.number)
    ] == names
    assert await performed(sandbox, rows, path) == []
    assert read_journal(path).counts.failed == len(names)


@frozen
class LabelledRef(RunRef):
    """A ref that carries something of its caller's."""

    label: str = ""


def test_a_run_is_one_run_whatever_its_ref_carries() -> None:
    """Refs of a class of the caller's own share the queue of their run, and come back as they were given."""
    exchange = FakeExchange()
    exchange.refuse["run1"] = 403
    plain = ref_of(1)
    refs = [LabelledRef(101, plain.project_id, plain.target_group_id, "run1", label) for label in "ab"]
    rows: Rows = [(plain, Pause()), *((ref, Pause()) for ref in refs)]
    found = sorted(one_process(Disk(), exchange, rows), key=lambda done: done.number)
    assert [done.ref for done in found] == [plain, *refs]
    assert [isinstance(done.error, SkippedError) for done in found] == [False, True, True]
    assert exchange.requests["pause"] == 3  # the first row's tries


class NanosecondDatetime(datetime):
    """A datetime that knows of nanoseconds, as those of data frames do: it equals none without."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NanosecondDatetime) and super().__eq__(other)

    __hash__ = datetime.__hash__


def test_a_date_is_what_is_sent_of_it() -> None:
    """An update made with a finer kind of datetime is there once the run has the milliseconds that were sent."""
    update = Update(end_fielding_at=NanosecondDatetime(2031, 1, 31, 8, 0, 1, 5999, tzinfo=UTC))
    assert update == Update(end_fielding_at=datetime(2031, 1, 31, 8, 0, 1, 5000, tzinfo=UTC))
    (done,) = one_process(Disk(), FakeExchange(), [(ref_of(1), update)])
    assert done.result().effect == "already"


class Project(str, Enum):  # noqa: UP042 - what older code has
    MINE = "0" * 26


def test_an_id_is_what_it_equals() -> None:
    """A member of an enumeration of texts goes out as its text."""
    exchange = FakeExchange()
    plain = ref_of(1)
    odd = RunRef(101, Project.MINE, plain.target_group_id, plain.fielding_run_id)
    urls: list[str] = []

    class Listening(FakeExchange):
        async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
            urls.append(outgoing.url)
            return await super().send(outgoing, timeout=timeout, connect_timeout=connect_timeout)

    exchange = Listening()
    one_process(Disk(), exchange, [(odd, Pause())])
    assert all(f"/projects/{'0' * 26}/" in url for url in urls)
    assert urls

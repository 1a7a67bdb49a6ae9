"""The orchestration script: what it decides, and runs seen through from launch to goal on a clock of their own."""

import asyncio
import json
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from orchestrate import Plan, Report, decide, next_at, orchestrate

from fielding_async import (
    Action,
    AuthenticationError,
    Complete,
    LaunchNow,
    RunRef,
    Update,
)
from fielding_async.sandbox import Cut, Hold, Sandbox, SecondWriter, Status
from tests.tools.sessions import applied, run_value, session
from tests.tools.waits import HANG

from .conftest import Start, ended

pytestmark = [pytest.mark.slow, pytest.mark.once]

NINE = datetime(2030, 5, 6, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLAN = Plan(launch_at=NINE, goal=100, latest=NINE + 4 * DAY, every=HOUR)


class StepClock:
    """A clock that moves when somebody sleeps, and at no other time."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    async def sleep(self, span: timedelta) -> None:
        self._now += span
        await asyncio.sleep(0)


async def see_through(box: Sandbox, clock: StepClock, refs: Sequence[RunRef], per_hour: float) -> Report:
    """Run the script's work over these runs, whose completes come in evenly from nine o'clock on."""
    report = Report()

    async def completes(ref: RunRef) -> int:
        return int(max(clock.now() - NINE, timedelta()) / HOUR * per_hour)

    async with session(box) as fielding, asyncio.timeout(HANG):
        await orchestrate(fielding, refs, PLAN, completes, clock, report)
    return report


@pytest.fixture
def clock() -> StepClock:
    """A clock that shows half past six, in the sandbox too."""
    return StepClock(NINE - timedelta(hours=2, minutes=30))


@pytest.fixture
def timed_box(sandbox: Sandbox, clock: StepClock, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox that goes by this clock."""
    monkeypatch.setattr(sandbox._pipeline, "now", clock.now)
    return sandbox


@pytest.mark.parametrize(
    ("status", "completes", "since_nine", "left", "expected"),
    [
        ("scheduled", 0, -2.5 * HOUR, 2 * DAY, HOUR),
        ("scheduled", 0, -0.5 * HOUR, 2 * DAY, 0.5 * HOUR),
        ("scheduled", 0, 0 * HOUR, 2 * DAY, LaunchNow()),
        ("scheduled", 100, -HOUR, 2 * DAY, Complete()),
        ("live", 99, HOUR, 12 * HOUR, HOUR),
        ("live", 99, HOUR, 11 * HOUR, Update(end_fielding_at=NINE + 36 * HOUR)),
        ("live", 99, 3.8 * DAY, 1 * HOUR, Update(end_fielding_at=NINE + 4 * DAY)),
        ("live", 99, 4 * DAY, 1 * HOUR, HOUR),
        ("live", 100, HOUR, HOUR, Complete()),
        ("paused", 100, HOUR, HOUR, HOUR),
        ("completed", 0, HOUR, HOUR, None),
        ("archived", 0, HOUR, HOUR, HOUR),
    ],
)
def test_what_is_decided(
    status: str, completes: int, since_nine: timedelta, left: timedelta, expected: Action | timedelta | None
) -> None:
    """Each state of a run, of its completes and of the clock leads to one step."""
    now = NINE + since_nine
    assert decide(run_value(status=status, end_fielding_at=now + left), completes, PLAN, now) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2030-05-06T06:59:59+00:00", "2030-05-06T07:00:00+00:00"),
        ("2030-05-06T07:00:00+00:00", "2030-05-06T07:00:00+00:00"),
        ("2030-05-06T07:00:01+00:00", "2030-05-07T07:00:00+00:00"),
        ("2030-10-26T12:00:00+00:00", "2030-10-27T08:00:00+00:00"),  # the night the clocks are put back
    ],
)
def test_nine_is_nine_by_the_clocks_of_the_zone(now: str, expected: str) -> None:
    """Nine o'clock is today's if it is to come, and minds the change of clocks."""
    berlin = ZoneInfo("Europe/Berlin")
    assert next_at(time(9), berlin, datetime.fromisoformat(now)) == datetime.fromisoformat(expected)


async def test_a_run_is_seen_through(timed_box: Sandbox, clock: StepClock) -> None:
    """It is launched at nine sharp, extended each time it comes near its end, and completed at the goal."""
    ref = timed_box.add_run(start_fielding_at=NINE + DAY, end_fielding_at=NINE + 2 * DAY)
    report = await see_through(timed_box, clock, [ref], per_hour=3)
    history = [(write.operation, write.at - NINE) for write in timed_box.history]
    assert history == [("launch-now", 0 * HOUR), ("update", 13 * HOUR), ("complete", 34 * HOUR)]
    assert report == Report(over={ref: "over, with 102 of 100 completes"})


async def test_a_step_is_not_taken_on_what_has_changed(timed_box: Sandbox, clock: StepClock) -> None:
    """A colleague extends the run between look and step: that stands, and the run is not extended on top of it."""
    ref = timed_box.add_run("live", start_fielding_at=NINE, end_fielding_at=NINE + DAY)
    timed_box.script(SecondWriter(shift_end=2 * DAY), on="update")
    await see_through(timed_box, clock, [ref], per_hour=2)
    assert applied(timed_box) == ["complete"]
    assert timed_box.inspect(ref).status == "completed"


async def test_a_pause_by_a_colleague_is_left_alone(timed_box: Sandbox, clock: StepClock) -> None:
    """A run that is paused is neither extended nor completed, until its end; it is not resumed either."""
    ref = timed_box.add_run("paused", start_fielding_at=NINE - DAY, end_fielding_at=NINE + DAY)
    looks = asyncio.create_task(see_through(timed_box, clock, [ref], per_hour=50))
    while clock.now() < NINE + 5 * HOUR:
        await asyncio.sleep(0)
    assert applied(timed_box) == []
    timed_box.touch(ref, status="live")
    assert (await looks).over.keys() == {ref}
    assert applied(timed_box) == ["complete"]


async def test_a_lost_reply_is_not_acted_on_twice(timed_box: Sandbox, clock: StepClock) -> None:
    """An extension of which it cannot be told whether it was applied is looked at again, and happens once."""
    ref = timed_box.add_run("live", start_fielding_at=NINE - DAY, end_fielding_at=NINE + HOUR)
    # applied, its reply lost, and then a colleague writes: unknown
    timed_box.script((Cut("after"), SecondWriter(when="after", shift_end=timedelta(minutes=1))), on="update")
    await see_through(timed_box, clock, [ref], per_hour=10)
    assert applied(timed_box) == ["update", "complete"]


async def test_one_run_that_is_gone_does_not_stop_the_others(timed_box: Sandbox, clock: StepClock) -> None:
    """A run that the exchange does not know is given up, with its reason; a server error is waited out."""
    ref = timed_box.add_run("live", start_fielding_at=NINE - DAY, end_fielding_at=NINE + DAY)
    gone = RunRef(ref.account_id, ref.project_id, "9" * 26, "NOBODY")
    timed_box.script(*[Status(503)] * 5, on="get", ref=ref)
    report = await see_through(timed_box, clock, [ref, gone], per_hour=50)
    assert set(report.over) == {ref}
    assert "404" in report.given_up[gone]


async def test_a_token_that_is_refused_stops_all(timed_box: Sandbox, clock: StepClock) -> None:
    """A 401 is hopeless for every run: it comes out, and no task is left behind."""
    refs = [timed_box.add_run("live") for _ in range(3)]
    timed_box.refuse("secret-token-of-the-test")
    with pytest.raises(ExceptionGroup) as caught:
        await see_through(timed_box, clock, refs, per_hour=1)
    assert caught.group_contains(AuthenticationError)
    assert applied(timed_box) == []


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    """Where the completes are: none yet."""
    path = tmp_path / "counts.json"
    path.write_text("{}")
    return path


def test_ctrl_c_says_what_is_in_doubt(box: Sandbox, start: Start, counts: Path) -> None:
    """Interrupted while a write is under way, it says which run that was, and ends with 130."""
    ref = box.add_run("live")
    counts.write_text(json.dumps({ref.fielding_run_id: 400}))
    hold = Hold("after")
    box.script(hold, on="complete")
    child = start("orchestrate.py", "--goal", 400, "--completes", counts, ref)
    hold.wait_arrived(HANG)
    child.send_signal(signal.SIGINT)
    what = ended(child)
    hold.release()
    assert what.status == 130
    assert f"IN DOUBT: fielding-async: complete on {ref} was cancelled, and may or may not be applied" in what.out


def test_ctrl_c_while_nothing_is_under_way_leaves_no_doubt(box: Sandbox, start: Start, counts: Path) -> None:
    """Interrupted between two looks, nothing is in doubt and nothing was changed."""
    ref = box.add_run("live")
    hold = Hold("after")
    box.script(hold, on="get")
    child = start("orchestrate.py", "--completes", counts, ref)
    hold.wait_arrived(HANG)
    child.send_signal(signal.SIGINT)
    what = ended(child)
    hold.release()
    assert (what.status, what.out) == (130, "Interrupted. Start it again to go on.\n")
    assert box.history == ()


def test_a_run_at_its_goal_is_completed_by_the_command(box: Sandbox, start: Start, counts: Path) -> None:
    """The whole command, over the real clock: a run at its goal is completed, and the second look finds it over."""
    ref = box.add_run("live")
    counts.write_text(json.dumps({ref.fielding_run_id: 17}))
    what = ended(start("orchestrate.py", "--goal", 17, "--completes", counts, ref))
    assert (what.status, what.err) == (0, "")
    assert f"{ref}: over, with 17 of 17 completes" in what.out
    assert [write.operation for write in box.history] == ["complete"]


def test_settings_that_are_missing_are_said(start: Start, counts: Path) -> None:
    """Without a token it is one line and exit 2; without runs the usage."""
    ref = "101/" + "/".join(["0" * 26] * 3)
    what = ended(start("orchestrate.py", "--completes", counts, ref, FIELDING_TOKEN=""))
    assert (what.status, what.out, len(what.err.splitlines())) == (2, "", 1)
    assert ended(start("orchestrate.py")).status == 2


def test_the_demo_shows_all_of_it(start: Start) -> None:
    """The demo launches at nine, meets a colleague and a lost reply, and sees three runs through."""
    what = ended(start("orchestrate.py", "--demo", FIELDING_TOKEN="two words", FIELDING_BASE_URL="nonsense"))
    assert (what.status, what.err) == (0, "")
    assert what.out.count("Mon 06 May 09:00") == 3
    assert "RUN-2  changed by somebody else meanwhile; looking again" in what.out
    assert "RUN-1  complete: unconfirmed" in what.out
    assert what.out.count(": over, with ") == 3

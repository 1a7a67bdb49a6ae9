"""The loop of `fielding watch`: reads, rests, and rides out an outage; time is that of the test."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fielding_async import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DeadlineExceededError,
    FieldingError,
    FieldingRun,
    FoundRun,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    SessionClosedError,
    TargetGroupItem,
    TargetGroupProgress,
    TargetGroupStatistics,
    TransportError,
)
from fielding_async.cli.watch.runs import Change, Watched
from fielding_async.cli.watch.sweeps import is_outage, sweep_for_ever, watched_run

from .watched import NOW, ref


def found(number: int, status: str = "live", **progress: object) -> FoundRun:
    """A run as it is found."""
    run = FieldingRun(id=f"RUN-{number}", status=status, version=1, start_fielding_at=NOW, end_fielding_at=NOW)
    statistics = TargetGroupStatistics(progress=TargetGroupProgress(**progress))  # type: ignore[arg-type]
    group = TargetGroupItem(id=ref(number).target_group_id, name=f"Group {number}", statistics=statistics)
    return FoundRun(ref=ref(number), run=run, target_group=group)


class Story:
    """An exchange, an audience and a clock in one: what happened, in order. It is gone after the last sweep."""

    def __init__(self, *sweeps: list[FoundRun | FieldingError]) -> None:
        self.sweeps = list(sweeps)
        self.told: list[str] = []
        self.time = 0.0
        self.fetched: list[tuple[float, str]] = []

    @property
    def is_gone(self) -> bool:
        return not self.sweeps

    async def find(self) -> AsyncIterator[FoundRun]:
        for entry in self.sweeps.pop(0):
            self.time += 0.25
            if isinstance(entry, FieldingError):
                raise entry
            self.fetched.append((self.time, str(entry.ref)))
            yield entry

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def begins(self) -> None:
        self.told.append("begins")

    def changed(self, change: Change) -> None:
        self.told.append(f"{change.kind} {change.run.name} {change.run.status}")

    def ended(self) -> None:
        self.told.append("ended")

    def failed(self, error: FieldingError) -> None:
        self.told.append(f"failed {type(error).__name__}")

    def rests(self, seconds: float) -> None:
        self.told.append(f"rests {seconds:g}")


async def watch(story: Story, *, every: float = 30.0, is_plain_token: bool = True) -> None:
    """Run the loop to the end of the story."""
    await sweep_for_ever(story.find, Watched(), story, every=every, is_plain_token=is_plain_token, sleep=story.sleep)


async def test_runs_appear_change_and_leave() -> None:
    """Each sweep tells what is different since the one before."""
    story = Story([found(1), found(2)], [found(2, "paused"), found(3)], [])
    await watch(story)
    assert story.told == [
        *("begins", "new Group 1 live", "new Group 2 live", "ended", "rests 30"),
        *("begins", "changed Group 2 paused", "new Group 3 live", "gone Group 1 live", "ended", "rests 30"),
        *("begins", "gone Group 2 paused", "gone Group 3 live", "ended", "rests 30"),
    ]


async def test_an_outage_is_told_and_ridden_out() -> None:
    """What was read before it counts, nothing is gone because of it, and the next sweep goes on."""
    story = Story(
        [found(1), found(2)],
        [found(1, "paused"), TransportError("no route")],
        [ServerError("unavailable", status=503)],
        [found(1, "paused"), found(2)],
    )
    await watch(story)
    assert story.told[5:] == [
        *("begins", "changed Group 1 paused", "failed TransportError", "rests 30"),
        *("begins", "failed ServerError", "rests 30"),
        *("begins", "ended", "rests 30"),
    ]


@pytest.mark.parametrize("every", [5.0, 30.0, 47.5])
async def test_a_run_is_fetched_at_most_once_in_every_seconds(every: float) -> None:
    """Whatever the order of a sweep, how long it takes, and whether it fails."""
    numbers = list(range(40))
    story = Story(
        [found(number) for number in numbers],
        [*(found(number) for number in reversed(numbers)), TransportError("reset")],
        [found(number) for number in numbers],
    )
    await watch(story, every=every)
    last: dict[str, float] = {}
    for time, name in story.fetched:
        assert time - last.get(name, -every) >= every
        last[name] = time
    assert len(story.fetched) == 120


async def test_a_rest_ends_soon_after_the_audience_is_gone() -> None:
    """Within about a second, so that `fielding watch … | head -3` does not go on for nobody."""
    story = Story([found(1)], [found(1)])

    async def sleep(seconds: float) -> None:
        story.time += seconds
        if story.time > 10:
            story.sweeps.clear()

    story.sleep = sleep  # type: ignore[method-assign]
    await watch(story, every=600.0)
    assert story.time < 12


async def test_an_error_that_waiting_does_not_help_ends_it() -> None:
    """It is raised as it is."""
    with pytest.raises(NotFoundError):
        await watch(Story([NotFoundError("no such project", status=404, object="not_found_error")]))


def api(kind: Callable[..., FieldingError], status: int, *, bare: bool = False) -> FieldingError:
    """An error that the exchange answered, or something in between did."""
    return kind("x", status=status, object=None if bare else "some_error")


def final() -> TransportError:
    """An error such as that of a certificate that is not trusted."""
    error = TransportError("certificate")
    error.is_final = True
    return error


@pytest.mark.parametrize(
    ("error", "first", "later"),
    [
        (TransportError("reset"), True, True),
        (final(), False, False),
        (DeadlineExceededError("slow"), True, True),
        (ProtocolError("a page"), True, True),
        (api(ServerError, 503), True, True),
        (api(RateLimitError, 429), True, True),
        (api(NotFoundError, 404), False, False),
        (api(NotFoundError, 404, bare=True), True, True),
        (api(BadRequestError, 400), False, False),
        (api(PermissionDeniedError, 403), False, True),
        (api(PermissionDeniedError, 403, bare=True), True, True),
        (api(AuthenticationError, 401), False, True),
        (ConfigurationError("x"), False, False),
        (SessionClosedError("x"), False, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_passes_by_waiting(error: FieldingError, first: bool, later: bool) -> None:
    """With credentials that are renewed; access that was there may come back, access that never was does not."""
    assert is_outage(error, is_plain_token=False, has_read=False) is first
    assert is_outage(error, is_plain_token=False, has_read=True) is later


@pytest.mark.parametrize("error", [api(AuthenticationError, 401), api(PermissionDeniedError, 403)])
def test_a_token_that_nothing_renews_does_not_come_back(error: FieldingError) -> None:
    """A fixed token that is refused ends the command at any time."""
    assert is_outage(error, is_plain_token=True, has_read=True) is False


def test_progress_is_counted_as_the_goal_is() -> None:
    """In prescreens where these are what is filled; a name that is missing is made up from what there is."""
    counts: dict[str, Any] = {"current_completes": 3, "current_prescreens": 7, "filling_goal": 10}
    strategies = {"completes": 3, "automated": 3, "prescreens": 7, None: 3}
    for strategy, progress in strategies.items():
        run = watched_run(found(1, filling_strategy=strategy, **counts))
        assert (run.progress, run.goal, run.name) == (progress, 10, "Group 1")

"""The session and the board: clicks, fetching, stopping."""

import asyncio
import logging
from contextlib import suppress
from itertools import groupby
from types import TracebackType
from typing import Self

from fielding_async import Action, FieldingError, FieldingRun, FieldingSession, Pause, Resume, RunStatus
from fielding_async.webhooks import WebhookVerificationError, verify

from .answers import ActionDone, Health, Problem, changed, done, problem_of, read_problem, seen_text
from .board import Board, Entry
from .settings import Settings

__all__ = ["ACTIONS", "ANSWER_WITHIN", "Service"]

ACTIONS: dict[str, tuple[Action, RunStatus]] = {
    "pause": (Pause(), RunStatus.PAUSED),
    "resume": (Resume(), RunStatus.LIVE),
}
ANSWER_WITHIN = 25.0  # seconds: sooner than a proxy gives up and answers in the app's place
_LISTS = 8  # lists that are fetched side by side
_PAUSE_STEP = 1.0  # seconds between two questions for the state of the pause, which cost no request
log = logging.getLogger("webapp")


class Service:
    """The app without its framework: one session for all requests, and a task that fetches the runs.

    An async context manager, entered where the app starts. `stop()` may be called before it is left.
    """

    def __init__(self, session: FieldingSession, settings: Settings) -> None:
        self.session = session
        self.board = Board(settings.refs)
        self.fetch_now = asyncio.Event()  # once it is set, the runs are fetched
        self._settings = settings
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.session.__aenter__()
        self._tasks = [asyncio.create_task(self._fetch_for_ever()), asyncio.create_task(self._follow_pause())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def stop(self) -> "asyncio.Task[None]":
        """Start to stop: streams end, new clicks are refused, those in progress get the drain time.

        A click in progress after that ends too, and the answer says that the outcome is not known. Returns the task
        that ends with the last of them.
        """
        if self._closing is None:
            self.board.close()
            for task in self._tasks:
                task.cancel()
            self._closing = asyncio.create_task(self._close())
        return self._closing

    async def _close(self) -> None:
        await self.session.aclose(drain=self._settings.drain)
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    # -- requests of people and programs

    async def act(self, key: str, name: str, seen: str | None) -> ActionDone | Problem:
        """Perform a click, and return what to answer; within `ANSWER_WITHIN` seconds, whatever the exchange does.

        `key`: which run. `name`: which of `ACTIONS`. `seen`: the run's `seen` text as the person saw it. If status or
        dates are other ones now, nothing is done, except where the run is already where the click leads. `None`: the
        click is meant for the run whatever it is now.
        """
        entry = self.board.entries.get(key)
        if entry is None or name not in ACTIONS:
            return Problem(404, "not-shown", "Nothing was done: this app does not show such a run.")
        entry.acting += 1
        try:
            return await self._perform(entry, name, seen)
        except FieldingError as error:
            # the message of an SDK error holds no secret; the ids are those of the settings
            log.warning("%s of %s: %s", name, entry.ref, error)
            current: FieldingRun | None = getattr(error, "current", None)
            if current is not None:
                self.board.saw(entry, current)
            self.fetch_now.set()  # not waited for: what went wrong may last
            left = self.session.stats().pause_left
            self.board.paused(left)
            return problem_of(error, left)
        finally:
            entry.acting -= 1

    async def _perform(self, entry: Entry, name: str, seen: str | None) -> ActionDone | Problem:
        action, goal = ACTIONS[name]
        run, clock = self.session.run(entry.ref), asyncio.get_running_loop().time
        until = clock() + ANSWER_WITHIN
        basis: FieldingRun | None = None
        if seen is not None:
            basis = entry.as_seen(seen)
            if basis is None:  # a list has no ETag
                basis = await run.get(timeout=ANSWER_WITHIN)
                self.board.saw(entry, basis)
            if seen_text(basis) != seen and basis.status != goal:
                return changed(basis)
        outcome = await run.perform(action, seen=basis, timeout=max(until - clock(), 0.1))
        # also for a person who has closed the page, and gets no answer
        log.info("%s of %s: %s [trace_id=%s]", name, entry.ref, outcome.effect, outcome.trace_id)
        self.board.saw(entry, outcome.run)
        return done(outcome)

    def take_delivery(self, body: bytes, signature: str) -> bool:
        """Take a webhook delivery as a hint to fetch the runs, so that one sent twice has no further effect.

        Returns whether its signature is right.
        """
        try:
            verify(body, signature, self._settings.secret or "")
        except WebhookVerificationError as error:
            log.warning("webhook refused: %s", error)
            return False
        self.fetch_now.set()
        return True

    def health(self) -> Health:
        """Return the state of the app. An outage of the exchange does not count, as no restart ends it."""
        stats = self.session.stats()
        status = "ok"
        if self._closing is not None:
            status = "stopping"
        elif any(task.done() for task in self._tasks):
            status = "broken"
        return Health(status, stats.in_flight, stats.waiting, round(stats.pause_left, 1))

    # -- in the background

    async def _fetch_for_ever(self) -> None:
        """Fetch all runs, wait for `every` seconds or for a hint, and so on.

        The runs are read from lists: their requests let those of clicks go first.
        """
        entries = sorted(self.board.entries.values(), key=_target_group)
        groups = [list(group) for _, group in groupby(entries, key=_target_group)]
        slots = asyncio.Semaphore(_LISTS)

        async def fetch(group: list[Entry]) -> None:
            async with slots:
                await self._fetch(group)

        while True:
            self.fetch_now.clear()
            async with asyncio.TaskGroup() as tasks:
                for group in groups:
                    tasks.create_task(fetch(group))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.every):
                    await self.fetch_now.wait()

    async def _fetch(self, group: list[Entry]) -> None:
        """Fetch the runs of one target group."""
        ref, writes = group[0].ref, [entry.writes for entry in group]
        found: dict[str, FieldingRun] = {}
        problem = "the exchange has no such run"
        try:
            handle = self.session.project(ref.account_id, ref.project_id).target_group(ref.target_group_id)
            found = {run.id: run for run in await handle.list_runs().all()}
        except FieldingError as error:
            log.warning("runs of target group %s: %s", ref.target_group_id, error)
            problem = read_problem(error)
        for entry, number in zip(group, writes, strict=True):
            run = found.get(entry.ref.fielding_run_id)
            self.board.listed(entry, run, None if run is not None else problem, number)

    async def _follow_pause(self) -> None:
        """Show on the board when the exchange asks for a pause, and when it is over."""
        while True:
            self.board.paused(self.session.stats().pause_left)
            await asyncio.sleep(_PAUSE_STEP)


def _target_group(entry: Entry) -> tuple[int, str, str]:
    """Return what names the target group of a run."""
    return (entry.ref.account_id, entry.ref.project_id, entry.ref.target_group_id)

"""`work`: one slice of work on a plan, by one of any number of workers."""

import asyncio
import os
import secrets
import socket
from contextlib import suppress
from functools import partial
from math import ceil, inf

from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.engine.engine import EngineSource
from fielding_async.journal.lines import header_line
from fielding_async.journal.values import Binding, is_same_exchange
from fielding_async.plans.database.database import Database
from fielding_async.plans.database.plan_record import PlanRecord, find_plan
from fielding_async.plans.values.plan_values import Worked

from .clock import Clock, boot_clock
from .committer import Committer
from .lease import Lease, Slice, Terms, are_busy, shards_wanted
from .patience import Patience, StoreLostError
from .postgres_shards import PostgresShards
from .shard_store import Claim, ShardStore
from .shard_work import ShardWork, Workplace

__all__ = ["Worker", "check_seconds", "holder_name", "work"]

_TICK = 0.2  # seconds between checks of how many rows are in progress
_LEAST_WAIT = 0.001
_NEXT_CLAIM = 1.0  # seconds after a claim that found nothing, while there is other work
_PAUSED_WAIT = 30.0  # seconds before a plan that is paused should be looked at again
_MOST_SECONDS = 1e9
_BIND = """
UPDATE fielding_plan SET base_url = coalesce(base_url, $2::text), api_version = coalesce(api_version, $3::text),
    began_at = coalesce(began_at, clock_timestamp())
WHERE plan_id = $1::bigint AND began_at IS NULL
"""


def check_seconds(value: object) -> float:
    """Return a number of seconds of at least 0, or infinity; raises `ConfigurationError`."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not (0 <= value <= _MOST_SECONDS or value == inf)
    ):
        raise ConfigurationError(
            f"seconds={briefly(value)}: must be a number of at least 0, at most {_MOST_SECONDS:g}, or infinity"
        )
    return float(value)


def holder_name() -> str:
    """Return the name of a worker: host, process, and what tells its calls apart."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{secrets.token_hex(4)}"


async def work(database: Database, session: EngineSource, name: str, seconds: float) -> Worked:
    """Work on a plan; see `PostgresPlans.work`. `name` and `seconds` must have been checked."""
    engine = session.engine()
    engine.check()
    clock = boot_clock()
    slice_ = Slice(clock() + seconds, engine.settings.timeout.attempt)
    patience = Patience(clock, engine.uniform)
    record = await patience.ask(partial(_bound, database, session, name), lambda: slice_.ends)
    binding = Binding(record.base_url or "", record.api_version or "", record.digest)
    store = PostgresShards(database, record.plan_id, header_line(binding))
    if record.state != "sealed":
        left = await store.left()
        # of a plan that was cancelled nothing will be done any more
        rows = left.rows if record.state == "paused" else 0
        return Worked(rows=0, left=rows, held=min(rows, left.held), wait=_PAUSED_WAIT if rows else 0.0)
    worker = Worker(store, session, record.name, record.digest, slice_, clock=clock, holder=holder_name())
    return await worker.run()


async def _bound(database: Database, session: EngineSource, name: str) -> PlanRecord:
    """Return the plan, bound to the exchange of the session. Raises `ConfigurationError` if it is bound to another."""
    settings = session.engine().settings
    async with database.connection() as connection:
        record = await find_plan(connection, name)
        if record.base_url is None and record.state == "sealed":
            await connection.fetch(_BIND, record.plan_id, settings.base_url, settings.api_version)
            record = await find_plan(connection, name)
    if record.base_url is None:
        return record
    if not is_same_exchange(record.base_url, settings.base_url) or record.api_version != settings.api_version:
        raise ConfigurationError(
            f"plan {name!r}: was started at {record.base_url} with version {record.api_version}, and this session"
            " is for"
            f" {settings.base_url} with version {settings.api_version}: use a session for the first one, or submit the"
            " rows under another name"
        )
    return record


class Worker:
    """One call of `work` on a plan that may be worked on. `holder`: its name, no two workers have the same."""

    def __init__(
        self,
        store: ShardStore,
        session: EngineSource,
        plan: str,
        digest: str,
        slice_: Slice,
        *,
        clock: Clock,
        holder: str,
        terms: Terms | None = None,
    ) -> None:
        engine = session.engine()
        self._store = store
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._holder = holder
        self._slice = slice_
        self._terms = terms or Terms(attempt=slice_.attempt)
        self._patience = Patience(clock, engine.uniform)
        self._changed = asyncio.Event()
        self._committer = Committer(store, self._patience, self._terms, slice_, holder, self._changed.set)
        self._place = Workplace(
            store=store,
            session=session,
            committer=self._committer,
            patience=self._patience,
            slice=slice_,
            plan=plan,
            digest=digest,
            on_change=self._changed.set,
        )
        self._slots = engine.limiter.background_slots
        self._shards: dict[int, ShardWork] = {}
        self._claim_at = -inf
        self._busy_at = -inf  # when the session was last seen to be made nearly full use of
        self._unsure_since: float | None = None  # when shards were asked for, if there was no reply
        self._lost_claims = 0  # one after the other
        self._epochs: dict[int, int] = {}  # the latest of each shard that was claimed here
        self._problem: BaseException | None = None  # what is raised at the end
        self._ended = 0

    async def run(self) -> Worked:
        """Work until the slice ends or nothing can be done. Returns when all is given back.

        When it is cancelled, it starts nothing more and waits for rows in progress; cancelled again, it cuts them off.
        """
        self._committer.start()
        cancelled: asyncio.CancelledError | None = None
        try:
            await self._work()
        except asyncio.CancelledError as error:
            cancelled = error
        except GeneratorExit:
            self._abandon()
            raise
        except Exception as error:  # noqa: BLE001 - raised once all is given back
            self._problem = error
        cancelled = await self._drain(cancelled)
        cancelled = await self._close(cancelled)
        if cancelled is not None:
            raise cancelled
        if self._problem is not None:
            raise self._problem
        left = await self._patience.once(self._store.left)
        return Worked(rows=self._ended, left=left.rows, held=left.held, wait=left.wait if left.rows else 0.0)

    # -- while the slice lasts

    async def _work(self) -> None:
        while not self._is_over():
            self._changed.clear()
            has_answer = await self._claim()
            if self._shards:
                self._share_slots()
                await self._next_change(min(self._slice.ends - self._clock(), _TICK))
                self._collect()
                for work in self._shards.values():
                    work.stop_if_lapsed()
            elif has_answer:
                return

    def _is_over(self) -> bool:
        return (
            self._clock() >= self._slice.ends
            or self._committer.state != "sealed"
            or self._problem is not None
            or self._engine.closing
        )

    async def _next_change(self, seconds: float) -> None:
        timer = self._loop.call_later(max(_LEAST_WAIT, seconds), self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()

    def _share_slots(self) -> None:
        rows = max(1, ceil(self._slots / len(self._shards)))
        for work in self._shards.values():
            work.set_rows(rows)

    async def _claim(self) -> bool:
        """Claim shards while there are slots for their rows. Return whether the database answers."""
        now = self._loop.time()
        works = self._shards.values()
        in_flight = sum(work.in_flight for work in works)
        if are_busy(self._slots, in_flight):
            self._busy_at = now
        count = shards_wanted(
            self._slots,
            shards=len(works),
            in_flight=in_flight,
            are_settled=now - self._busy_at >= _TICK and all(work.is_settled(now) for work in works),
        )
        if not count or (works and now < self._claim_at):
            return True
        try:
            claims, asked_at = await self._patience.once(partial(self._claimed, count))
        except StoreLostError:
            self._lost_claims += 1
            if not works:
                await self._patience.wait(self._lost_claims)
            self._claim_at = now + _NEXT_CLAIM
            return False
        self._lost_claims = 0
        rows = max(1, ceil(self._slots / max(1, len(works) + len(claims))))
        for claim in claims:
            self._epochs[claim.shard] = claim.epoch
            self._shards[claim.shard] = ShardWork(self._place, claim, Lease.granted(self._terms, asked_at), rows)
        if not claims:
            self._claim_at = now + _NEXT_CLAIM
        return True

    def _is_new(self, claim: Claim) -> bool:
        """Whether a shard that this worker has is another one than those that it works on, or has ended its work on."""
        return claim.shard not in self._shards and claim.epoch > self._epochs.get(claim.shard, 0)

    async def _unsure_claims(self) -> list[Claim]:
        """Return what a claim without a reply has got."""
        return [each for each in await self._store.claimed(self._holder) if self._is_new(each)]

    async def _claimed(self, count: int) -> tuple[list[Claim], float]:
        """Claim shards. Return them, and when they were asked for."""
        if self._unsure_since is not None:  # an earlier claim got no reply, and may have been made
            asked_at = self._unsure_since
            claims = await self._unsure_claims()
            self._unsure_since = None
            if claims:
                return claims, asked_at
        asked_at = self._unsure_since = self._clock()
        claims = await self._store.claim(self._holder, count, self._terms.length)
        self._unsure_since = None
        for claim in claims:
            if claim.shard in self._shards:  # its lease was lost, and what was under way has not ended yet
                await self._store.release(claim.shard, claim.epoch, _NEXT_CLAIM)
        return [each for each in claims if each.shard not in self._shards], asked_at

    def _collect(self) -> None:
        """Take out the shards that are given back."""
        for work in [work for work in self._shards.values() if work.task.done()]:
            del self._shards[work.shard]
            self._ended += work.ended
            self._problem = self._problem or work.error
            if work.has_outage:  # the wait for its end is over, or is of no use
                self._slice.end_now(self._clock())

    # -- the end

    async def _drain(self, cancelled: asyncio.CancelledError | None) -> asyncio.CancelledError | None:
        """Start nothing more, and wait for what is in progress, up to the time of one attempt; then cut it off."""
        self._slice.end_now(self._clock())
        is_cut = False
        for work in self._shards.values():
            work.stop()
        while self._shards:
            left = None if is_cut else max(0.0, self._slice.cut_at - self._clock())
            try:
                await asyncio.wait([work.task for work in self._shards.values()], timeout=left)
                must_cut = self._clock() >= self._slice.cut_at
            except asyncio.CancelledError as error:
                must_cut, cancelled = cancelled is not None, error
            if must_cut and not is_cut:
                is_cut = True
                for work in self._shards.values():
                    work.stop(cancel=True)
            self._collect()
        return cancelled

    async def _close(self, cancelled: asyncio.CancelledError | None) -> asyncio.CancelledError | None:
        """Give back what a cut-off claim may have got, and end the committer, whatever is cancelled meanwhile."""
        closing = self._loop.create_task(self._end())
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError as error:
                cancelled = error
        closing.result()
        return cancelled

    async def _end(self) -> None:
        if self._unsure_since is not None:
            with suppress(StoreLostError):  # the leases run out
                await self._patience.once(self._return_unsure)
        await self._committer.aclose()

    async def _return_unsure(self) -> None:
        for claim in await self._unsure_claims():
            await self._store.release(claim.shard, claim.epoch, None)

    def _abandon(self) -> None:
        """Cut everything off, and wait for nothing: the coroutine is being closed. The leases run out."""
        if not self._loop.is_closed():
            for work in self._shards.values():
                work.task.cancel()
            self._committer.cut()

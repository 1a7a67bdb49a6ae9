"""One seed: a plan, workers, what happens to them, and what is wrong at the end."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from attrs import Factory, define

from fielding_async import Limits, Pause, Resume, Retry, RunRef, Timeout, Update
from fielding_async.core.actions import Action
from fielding_async.core.errors import JournalError
from fielding_async.journal.lines import header_line
from fielding_async.journal.replay import Replay
from fielding_async.journal.values import Binding
from fielding_async.plans.database.errors import StoreLostError
from fielding_async.plans.values.row_text import action_text
from fielding_async.plans.working.lease import Slice, Terms
from fielding_async.plans.working.work import Worker
from fielding_async.session import session_over

from .database import Client, Database, Faults, Shard
from .exchange import Exchange, Network, Wire
from .processes import Process, Universe

__all__ = ["Result", "Scenario", "simulate"]

_URL = "https://fake.invalid/v1"
_VERSION = "2025-12-18"
_ATTEMPT = 2.0
_TERMS = Terms(attempt=_ATTEMPT, slack=3.0, margin=0.5)
_TROUBLE = 25.0  # seconds in which things happen
_MOST = 2000.0  # and after which all rows must have ended


@define
class Scenario:
    """What a seed is made of."""

    returns: bool
    colleague: float
    jumps: bool
    faults: Faults
    network: Network
    workers: int
    runs: int
    rows_each: int
    shards: int
    seconds: float

    @classmethod
    def of(cls, dice: Random, *, returns: bool | None) -> "Scenario":
        """Throw the dice."""
        if returns is None:
            returns = dice.random() < 0.4
        some = dice.random
        return cls(
            returns=returns,
            colleague=0.0 if some() < 0.6 else dice.uniform(0.1, 1.0),
            # where ETags return, the clocks are what keeps a late write away
            jumps=not returns and some() < 0.4,
            faults=Faults(
                latency=dice.choice([0.001, 0.01, 0.1]),
                lost_before=dice.choice([0.0, 0.02, 0.1]),
                lost_after=dice.choice([0.0, 0.02, 0.1]),
                hangs=dice.choice([0.0, 0.0, 0.01]),
                lingers=dice.choice([0.0, 0.5]),
            ),
            network=Network(
                latency=dice.choice([0.02, 0.1, 0.3]),
                lost_before=dice.choice([0.0, 0.05, 0.15]),
                lost_after=dice.choice([0.0, 0.05, 0.15]),
                late=dice.choice([0.0, 0.1]),
                latest=_ATTEMPT if returns else dice.choice([1.0, 6.0]),
            ),
            workers=dice.randint(2, 4),
            runs=dice.randint(3, 12),
            rows_each=dice.randint(2, 6),
            shards=dice.randint(1, 5),
            # where ETags return, a GET may be repeated for 5 s, which a shorter slice would cut off again and again
            seconds=10.0 if returns else dice.choice([1.0, 3.0, 10.0]),
        )


@define
class Result:
    """What came of a seed. `breaches`: what must not be. `ends`: rows by how they ended."""

    seed: int
    scenario: Scenario
    breaches: list[str] = Factory(list[str])
    ends: Counter[str] = Factory(Counter[str])
    applied: int = 0
    claims: int = 0
    met: int = 0
    """Claims of shards with rows in flight."""
    kills: int = 0
    stops: int = 0
    late: int = 0
    seconds: float = 0.0


class Simulation:
    """The world of one seed."""

    def __init__(self, seed: int, *, returns: bool | None = None) -> None:
        dice = self._dice = Random(seed)
        scenario = self.scenario = Scenario.of(dice, returns=returns)
        self.result = Result(seed, scenario)
        self.universe = Universe()
        self.exchange = Exchange(self.universe, returns=scenario.returns)
        self.shard_of: dict[str, int] = {}
        self.actions: list[list[tuple[str, Action]]] = [[] for _ in range(scenario.shards)]
        self._make_rows()
        binding = Binding(_URL, _VERSION, "digest")
        shards = [Shard([self._stored(*row) for row in rows]) for rows in self.actions if rows]
        self.database = Database(self.universe, shards, header_line(binding))
        self.database.open_at_claim = lambda shard: bool(_replay(shard).open)
        self.clients: dict[Process, Client] = {}
        self._started = 0

    def _make_rows(self) -> None:
        dice, scenario = self._dice, self.scenario
        used: dict[int, int] = {}
        waiting: list[tuple[str, list[Action]]] = []
        for number in range(scenario.runs):
            name = f"run{number}"
            self.exchange.add(name)
            drawn = dice.randrange(scenario.shards)
            self.shard_of[name] = used.setdefault(drawn, len(used))
            status, actions = "live", list[Action]()
            for row in range(scenario.rows_each):
                if dice.random() < 0.3:
                    end = datetime(2032, 1, 1, tzinfo=UTC) + timedelta(minutes=100 * number + row)
                    actions.append(Update(end_fielding_at=end))
                else:
                    actions.append(Pause() if status == "live" else Resume())
                    status = "paused" if status == "live" else "live"
            waiting.append((name, actions))
        while waiting:
            name, actions = dice.choice(waiting)
            self.actions[self.shard_of[name]].append((name, actions.pop(0)))
            waiting = [one for one in waiting if one[1]]

    @staticmethod
    def _stored(name: str, action: Action) -> tuple[int, str, str, str, str, str | None]:
        ref = RunRef(101, "0" * 26, "1" * 26, name)
        return (
            *(ref.account_id, ref.project_id, ref.target_group_id, ref.fielding_run_id),
            *(action_text(action), None),
        )

    # -- processes

    def _start(self) -> None:
        self._started += 1
        dice = Random(self._dice.getrandbits(64))
        self.universe.start(f"worker{self._started}", lambda process: self._main(process, dice))

    def _main(self, process: Process, dice: Random) -> Coroutine[Any, Any, None]:
        client = self.clients[process] = Client(self.database, process, dice, self.scenario.faults)
        wire = Wire(self.exchange, self.database, process, dice, self.scenario.network, self.shard_of)
        return self._work(process, client, wire, dice)

    async def _work(self, process: Process, client: Client, wire: Wire, dice: Random) -> None:
        session = session_over(
            wire,
            dice=Random(dice.getrandbits(64)),
            auth="token",
            base_url=_URL,
            limits=Limits(concurrency=4, adaptive=False),
            retry=Retry(base=0.01, cap=0.1, max_attempts=3),
            timeout=Timeout(total=10.0, attempt=_ATTEMPT),
        )
        async with session as fielding:
            while True:
                slice_ = Slice(process.boot_time() + self.scenario.seconds, _ATTEMPT)
                holder = f"{process.name}:{dice.getrandbits(32)}"
                worker = Worker(
                    client, fielding, "p", "digest", slice_, clock=process.boot_time, holder=holder, terms=_TERMS
                )
                try:
                    worked = await worker.run()
                except (StoreLostError, JournalError):
                    await asyncio.sleep(0.5)
                    continue
                if not worked.left:
                    return
                await asyncio.sleep(min(max(worked.wait, 0.01), 5.0))

    def _victim(self) -> Process | None:
        """Return a process that lives and goes, one with leases if there is one."""
        lives = [process for process in self.universe.processes if not process.is_dead and not process.is_stopped]
        holders = {(shard.holder or "").partition(":")[0] for shard in self.database.shards}
        return self._dice.choice([each for each in lives if each.name in holders] or lives or [None])

    # -- what happens

    def _plan_trouble(self) -> None:
        dice, universe = self._dice, self.universe
        kinds: list[Callable[[], None]] = [self._kill, self._kill, self._stop, self._stop, self._cut_off, self._restart]
        if self.scenario.jumps:
            kinds.append(self._jump)
        for _ in range(dice.randint(2, 10)):
            universe.at(1000.0 + dice.uniform(0.1, _TROUBLE) * dice.random(), dice.choice(kinds))
        if self.scenario.colleague:
            universe.after(dice.expovariate(self.scenario.colleague), self._touch)
        universe.at(1000.0 + _TROUBLE + 20.0, self._calm)

    def _kill(self) -> None:
        victim = self._victim()
        if victim is not None:
            self.result.kills += 1
            victim.kill()
            self.universe.after(self._dice.uniform(0.0, 3.0), self._start)

    def _stop(self) -> None:
        victim = self._victim()
        if victim is not None:
            self.result.stops += 1
            victim.stop(asleep=self._dice.random() < 0.3)
            self.universe.after(self._dice.choice([0.5, 3.0, 7.0, 15.0]), victim.go_on)

    def _cut_off(self) -> None:
        victim = self._victim()
        if victim is not None and victim in self.clients:
            client = self.clients[victim]
            client.is_cut_off = True

            def heal() -> None:
                client.is_cut_off = False

            self.universe.after(self._dice.choice([0.5, 3.0, 9.0]), heal)

    def _restart(self) -> None:
        self.database.restart(self._dice.choice([0.3, 1.0, 5.0]))

    def _jump(self) -> None:
        self.database.clock_offset += self._dice.choice([-20.0, -2.0, 2.0, 20.0])

    def _touch(self) -> None:
        if self.universe.now < 1000.0 + _TROUBLE:
            self.exchange.touch(self._dice.choice(sorted(self.exchange.runs)), self._dice)
            self.universe.after(self._dice.expovariate(self.scenario.colleague), self._touch)

    def _calm(self) -> None:
        """Let nothing go wrong any more: now the plan must come to its end."""
        faults, network = self.scenario.faults, self.scenario.network
        for client in self.clients.values():
            client.is_cut_off = False
            client.faults = Faults(latency=faults.latency)
        self.scenario.faults = Faults(latency=faults.latency)
        network.lost_before = network.lost_after = network.late = 0.0
        self._start()

    def run(self) -> Result:
        """Run it, and judge."""
        for _ in range(self.scenario.workers):
            self._start()
        self._plan_trouble()
        is_finished = self.universe.run(lambda: self.database.is_finished, _MOST)
        self.result.seconds = self.universe.now - 1000.0
        self.universe.run(lambda: False, 10.0)  # what is late arrives
        for process in [*self.universe.processes]:
            is_over = process.task.done()
            process.kill()
            if is_over and process.error is not None:
                self.result.breaches.append(f"{process.name} ended in {process.error!r}")
        if not is_finished:
            self.result.breaches.append("the plan came to no end")
        self._judge()
        return self.result

    def _judge(self) -> None:
        result, exchange, database = self.result, self.exchange, self.database
        result.breaches += exchange.wrong
        result.applied = sum(one.place is not None for one in exchange.log)
        result.claims, result.met, result.late = database.claims, database.claims_met_intents, len(database.late)
        for number, shard in enumerate(database.shards):
            epochs = [epoch for epoch, _ in shard.groups]
            if epochs != sorted(epochs):
                result.breaches.append(f"shard {number}: an epoch wrote after the next one had")
            try:
                replay = _replay(shard, keep=True)
            except Exception as error:
                result.breaches.append(f"shard {number}: cannot be read: {error!r}")
                continue
            rows = {row.number: row for row in replay.rows}
            for place, (name, action) in enumerate(self.actions[number]):
                row = rows.get(place)
                end = "none" if row is None else str(row.effect or row.state)
                result.ends[end] += 1
                self._judge_row(number, place, name, action, end)
        for name in exchange.runs:
            places = [one.place for one in exchange.log if one.run == name and one.place is not None]
            if places != sorted(places):
                result.breaches.append(f"{name}: applied out of order: {places}")

    def _judge_row(self, shard: int, place: int, name: str, action: Action, end: str) -> None:
        times = self._times(name, place)
        has_colleague = bool(self.scenario.colleague)
        what = f"shard {shard}, row {place}: {action.name} of {name} ended {end} and was applied {times} times"
        is_true = {
            "accepted": times == 1,
            "already": times == 0,
            "failed": times == 0,
            "skipped": times == 0,
            "unconfirmed": times == 1 or (has_colleague and times == 0),
            "unknown": times <= 1,
        }.get(end, False)
        can_be_told = not has_colleague and not self.scenario.returns
        if not is_true or (end == "unknown" and can_be_told):
            self.result.breaches.append(what)

    def _times(self, name: str, place: int) -> int:
        """Return how often a row was applied. What the colleague took back in between counts once.

        Where ETags return, a request that is sent again may undo that somebody has set everything back: doubt D8 of the
        judgement.
        """
        times, is_taken_back = 0, True
        for one in self.exchange.log:
            if one.run == name and one.place is None:
                is_taken_back = self.scenario.returns
            elif one.run == name and one.place == place:
                times += not times or not is_taken_back
                is_taken_back = False
        return times


def _replay(shard: Shard, *, keep: bool = False) -> Replay:
    replay = Replay(keep=keep, keep_done=keep)
    for number, (_, lines) in enumerate(shard.groups):
        if number == 0:
            replay.begin(lines)
            continue
        for line in lines.splitlines(keepends=True):
            replay.feed(line)
    replay.end()
    return replay


def simulate(seed: int, *, returns: bool | None = None) -> Result:
    """Run one seed. `returns`: with ETags that return, or not; left out, some seeds have them."""
    return Simulation(seed, returns=returns).run()

"""The exchange of the simulation: applies writes, and keeps a log of which row each of them was of."""

import asyncio
import json
from hashlib import blake2b
from random import Random
from typing import Any

from attrs import define, frozen

from fielding_async.core.wire.replies import Attempted, Lost, NotSent, Response
from fielding_async.http.transport import Outgoing

from .database import Database
from .processes import Process, Universe

__all__ = ["Applied", "Exchange", "Network", "Wire"]

_TARGETS = {"pause": "paused", "resume": "live"}
_FROM = {"pause": {"live"}, "resume": {"paused"}, "update": {"live", "paused"}}
START, END = "2030-01-01T08:00:01.000Z", "2031-01-31T08:00:01.005Z"


@frozen
class Applied:
    """A write that was applied. `place`: of its row in the shard of its run; `None`: the colleague's."""

    time: float
    run: str
    place: int | None
    process: str


class Exchange:
    """The runs. `returns`: whether ETags are made of the content, so that they come back with it."""

    def __init__(self, universe: Universe, *, returns: bool) -> None:
        self.universe = universe
        self.returns = returns
        self.runs: dict[str, dict[str, Any]] = {}
        self.log: list[Applied] = []
        self.requests = 0
        self.wrong: list[str] = []

    def add(self, name: str) -> None:
        self.runs[name] = {
            "id": name,
            "status": "live",
            "version": 1,
            "start_fielding_at": START,
            "end_fielding_at": END,
        }

    def etag(self, name: str) -> str:
        run = self.runs[name]
        if not self.returns:
            return f'W/"{run["version"]}"'
        content = f"{run['status']}/{run['start_fielding_at']}/{run['end_fielding_at']}"
        return f'"{blake2b(content.encode(), digest_size=8).hexdigest()}"'

    def answer(self, name: str, action: str, etag: str | None, body: bytes | None, tag: int, process: str) -> Response:
        self.requests += 1
        run = self.runs[name]
        if action == "get":
            shown = {**run, "last_changed_at": START, "last_changed_by": "somebody"}
            return Response(200, {"ETag": self.etag(name)}, json.dumps(shown).encode())
        if etag != self.etag(name):
            return Response(412, {}, b"{}")
        if run["status"] not in _FROM[action]:
            return Response(422, {}, b'{"object":"invalid_state_error"}')
        if action == "update":
            run.update(json.loads(body or b"{}"))
        else:
            run["status"] = _TARGETS[action]
        run["version"] += 1
        self.log.append(Applied(self.universe.now, name, tag, process))
        headers = {"ETag": self.etag(name)}
        if action == "update":
            return Response(202, headers, json.dumps({"id": name}).encode())
        return Response(204, headers)

    def touch(self, name: str, dice: Random) -> None:
        """Write as somebody else."""
        run = self.runs[name]
        if dice.random() < 0.6:
            run["status"] = dice.choice(["live", "paused"])
        else:
            run["end_fielding_at"] = f"2035-01-01T00:00:{dice.randrange(60):02}.000Z"
        run["version"] += 1
        self.log.append(Applied(self.universe.now, name, None, "colleague"))


@define
class Network:
    """What may happen to a request: shares of those that are lost, before or after the exchange has them, or late."""

    latency: float = 0.2
    lost_before: float = 0.0
    lost_after: float = 0.0
    late: float = 0.0
    latest: float = 1.0
    """The most seconds that a late request is under way."""


def _resolve(reply: "asyncio.Future[Attempted]", response: Response) -> None:
    if not reply.done():
        reply.set_result(response)


class Wire:
    """The `Transport` of one process. `shard_of`: the shard of a run, by its name."""

    def __init__(
        self,
        exchange: Exchange,
        database: Database,
        process: Process,
        dice: Random,
        network: Network,
        shard_of: dict[str, int],
    ) -> None:
        self._exchange = exchange
        self._database = database
        self._process = process
        self._dice = dice
        self._network = network
        self._shard_of = shard_of

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        name, _, action = outgoing.url.partition("/fielding-runs/")[2].partition("/")
        action = "get" if outgoing.method == "GET" else action or "update"
        dice, network, universe, process = self._dice, self._network, self._exchange.universe, self._process
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(network.latency * dice.uniform(0.0, 0.5))  # until there is a connection
                await outgoing.leave()
                reply: asyncio.Future[Attempted] = asyncio.get_running_loop().create_future()
                if process.is_dead:
                    return await reply
                tag = -1 if action == "get" else self._row(name, action, outgoing.headers["If-Match"])
                way = network.latency * dice.uniform(0.5, 1.5)
                if dice.random() < network.late:
                    way = dice.uniform(0.0, network.latest)
                fate = dice.random()

                def arrive() -> None:
                    if fate < network.lost_before:
                        return
                    etag = outgoing.headers.get("If-Match")
                    response = self._exchange.answer(name, action, etag, outgoing.body, tag, process.name)
                    if fate < network.lost_before + network.lost_after:
                        return
                    universe.after(way, lambda: process.deliver(lambda: _resolve(reply, response)))

                universe.after(way, arrive)
                if fate < network.lost_before + network.lost_after and dice.random() < 0.5:
                    await asyncio.sleep(2 * way)
                    return Lost("the connection was cut")
                return await reply
        except TimeoutError:
            return Lost("no reply in time") if outgoing.left else NotSent("no connection in time")

    def _row(self, name: str, action: str, etag: str) -> int:
        """Return the place of the row that a write is of: its intent is durable, under this very ETag."""
        mark = f'"run":"{name}","etag":{json.dumps(etag)},'.encode()
        for _, lines in reversed(self._database.shards[self._shard_of[name]].groups):
            for line in reversed(lines.splitlines()):
                if mark in line and line.startswith(b'{"intent":'):
                    intent = json.loads(line)
                    what = intent["action"] if isinstance(intent["action"], str) else "update"
                    if what == action:
                        return int(intent["intent"])
        self._exchange.wrong.append(f"{self._process.name}: {action} of {name} left without a durable intent")
        return -1

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

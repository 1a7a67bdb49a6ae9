"""An exchange in memory behind the `Transport` seam, for tests in virtual time: what it applies, it keeps."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from fielding_async import FieldingSession, Limits, Retry, RunRef, Timeout
from fielding_async.core.wire.replies import Attempted, Lost, Response
from fielding_async.http.transport import Outgoing
from fielding_async.session import session_over

__all__ = ["FakeExchange", "ref_of", "session_on"]

_TARGETS = {"launch-now": "live", "pause": "paused", "resume": "live", "complete": "completed", "relaunch": "live"}
_FROM = {
    "launch-now": {"scheduled"},
    "pause": {"live"},
    "resume": {"paused"},
    "complete": {"live", "scheduled"},
    "relaunch": {"completed"},
    "update": {"scheduled", "live", "paused"},
}
_DATES = {"start_fielding_at": "2030-01-01T08:00:01.000Z", "end_fielding_at": "2031-01-31T08:00:01.005Z"}


def ref_of(name: object) -> RunRef:
    """Return the ref of a run of this exchange."""
    return RunRef(101, "0" * 26, "1" * 26, f"run{name}")


class FakeExchange:
    """The `Transport`: `latency` seconds for each exchange, and per run a status to refuse writes with.

    `applied` holds (run, action) in the order of application. `lose`: asked of every write, whether its reply is lost.
    """

    def __init__(self, latency: float = 0.01) -> None:
        self.latency = latency
        self.latencies: dict[str, float] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.refuse: dict[str, int] = {}
        self.lose: Callable[[str, str], str | None] = lambda run, action: None
        self.applied: list[tuple[str, str]] = []
        self.requests: Counter[str] = Counter()
        self.active = 0
        self.most_active = 0

    def run(self, name: str) -> dict[str, Any]:
        return self.runs.setdefault(name, {"id": name, "status": "live", "version": 1, **_DATES})

    def times(self, name: object) -> int:
        """Return how many writes were applied to a run."""
        return sum(run == f"run{name}" for run, _ in self.applied)

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        _, _, tail = outgoing.url.partition("/fielding-runs/")
        name, _, action = tail.partition("/")
        await outgoing.leave()
        self.active += 1
        self.most_active = max(self.active, self.most_active)
        try:
            await asyncio.sleep(self.latencies.get(name, self.latency))
            return self.answer(outgoing, name, "get" if outgoing.method == "GET" else action or "update")
        finally:
            self.active -= 1

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        self.requests[action] += 1
        run = self.run(name)
        etag = f'W/"{run["version"]}"'
        if action == "get":
            body = {**run, "last_changed_at": _DATES["start_fielding_at"], "last_changed_by": "somebody"}
            return Response(200, {"ETag": etag}, json.dumps(body).encode())
        if name in self.refuse:
            return Response(self.refuse[name], {}, b'{"object":"so_it_is"}')
        fate = self.lose(name, action)
        if fate == "before":
            return Lost("cut")
        if outgoing.headers["If-Match"] != etag:
            return Response(412, {}, b"{}")
        if run["status"] not in _FROM[action]:
            return Response(422, {}, b'{"object":"invalid_state_error"}')
        if action == "update":
            run.update(json.loads(outgoing.body or b""))
        else:
            run["status"] = _TARGETS[action]
        run["version"] += 1
        self.applied.append((name, action))
        if fate == "after":
            return Lost("cut")
        if action == "update":
            return Response(202, {"ETag": f'W/"{run["version"]}"'}, json.dumps({"id": name}).encode())
        return Response(204, {"ETag": f'W/"{run["version"]}"'})

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


def session_on(exchange: FakeExchange, **arguments: Any) -> FieldingSession:
    """Return a session over this exchange."""
    arguments.setdefault("limits", Limits(concurrency=8, adaptive=False))
    arguments.setdefault("retry", Retry(base=0.01, cap=0.1, max_attempts=3))
    arguments.setdefault("timeout", Timeout(total=20, attempt=5))
    return session_over(
        exchange, auth="token", base_url=arguments.pop("base_url", "https://fake.invalid/v1"), **arguments
    )

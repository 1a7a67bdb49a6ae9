"""A project in memory behind the `Transport` seam: target groups in pages, a live run in each."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fielding_async import FieldingSession, Limits, Project
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.session import session_over

__all__ = ["FakeProject"]

_DATES = {"start_fielding_at": "2030-01-01T08:00:01.000Z", "end_fielding_at": "2031-01-31T08:00:01.005Z"}


class FakeProject:
    """The `Transport`. `steps`: of the event loop that an exchange takes. `on_reply`: called before each reply."""

    def __init__(self, groups: int, *, steps: int = 3) -> None:
        self.groups = groups
        self.steps = steps
        self.on_reply: Callable[[str], None] = lambda operation: None
        self.requests: Counter[str] = Counter()
        self.active = 0
        self.most_active = 0

    def session(self, **arguments: Any) -> FieldingSession:
        """Return a session over this transport."""
        arguments.setdefault("limits", Limits(concurrency=64, adaptive=False))
        return session_over(self, auth="token", base_url="https://fake.invalid/v1", **arguments)

    @staticmethod
    def handle(fielding: FieldingSession) -> Project:
        """Return the handle of the project."""
        return fielding.project(101, "0" * 26)

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        await outgoing.leave()
        self.active += 1
        self.most_active = max(self.active, self.most_active)
        try:
            for _ in range(self.steps):
                await asyncio.sleep(0)
            parts = urlsplit(outgoing.url)
            operation = parts.path.rpartition("/")[2]
            self.requests[operation] += 1
            self.on_reply(operation)
            body = self._page(dict(parse_qsl(parts.query))) if operation == "target-groups" else self._runs()
            return Response(200, {}, json.dumps(body).encode())
        finally:
            self.active -= 1

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        start, size = int(query.get("start_after", "0")), int(query["page_size"])
        end = min(start + size, self.groups)
        groups = [{"id": f"{number:026}", "status": "live"} for number in range(start, end)]
        return {"target_groups": groups, "next_cursor": str(end) if end < self.groups else None}

    @staticmethod
    def _runs() -> dict[str, Any]:
        return {"data": [{"id": "run", "status": "live", "version": 1, **_DATES}]}

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

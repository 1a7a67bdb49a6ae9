"""The stream of server-sent events that the page reads: what is new, in bounded parts, until the sandbox stops."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from fielding_async.core.models import RunRef

from .controlled import View
from .json_forms import request_object, write_object

__all__ = ["EventStream"]

_INTERVAL = 0.25  # seconds between two looks at the sandbox
_MOST = 200  # requests and writes in one event; what is older is counted as left out
_BEGIN = 100  # of each that a new page gets


class EventStream:
    """What one page is sent."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._ended = asyncio.Event()
        requests, writes = view.latest()
        self._request, self._write = max(0, requests - _BEGIN), max(0, writes - _BEGIN)
        self._open: dict[int, None] = {}  # requests that were sent without a status, the latest of them
        self._projects: list[dict[str, Any]] | None = None
        self._state: dict[str, Any] = {}
        self._traffic: dict[str, Any] = {}

    def end(self) -> None:
        """End the stream, as the sandbox stops."""
        self._ended.set()

    async def send(self, request: web.BaseRequest, headers: Mapping[str, str]) -> web.StreamResponse:
        """Send events until the sandbox stops or the page is closed."""
        response = web.StreamResponse(headers={**headers, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while not self._ended.is_set():
                news = self.news()
                if news:
                    await response.write(f"data: {json.dumps(news)}\n\n".encode())
                try:
                    await asyncio.wait_for(self._ended.wait(), _INTERVAL)
                except TimeoutError:
                    continue
            await response.write(b"event: end\ndata: {}\n\n")
            await response.write_eof()
        except ConnectionError:
            pass  # the page was closed
        return response

    def news(self) -> dict[str, Any]:
        """Return what is new since the last call."""
        view, news = self._view, dict[str, Any]()
        count, seq = view.latest()
        requests = list(view.requests_after(self._request, _MOST))
        news["left_out"] = count - self._request - len(requests)
        answered = [found for number in self._open if (found := view.request(number)) and found.status is not None]
        for found in answered:
            del self._open[found.id]
        self._open |= {found.id: None for found in requests if found.status is None}
        while len(self._open) > _MOST:
            del self._open[next(iter(self._open))]
        self._request = max(self._request, count)
        writes = view.writes_after(self._write, _MOST)
        self._write = max(self._write, seq, *(write.seq for write in writes), 0)
        news["requests"] = [request_object(found) for found in (*answered, *requests)]
        news["writes"] = [write_object(write) for write in writes]
        news["runs"] = [run for ref in _refs(write.ref for write in writes) if (run := view.run(ref))]
        state, projects, traffic = view.state(), view.projects(), view.traffic()
        if projects is not self._projects:
            news["projects"], self._projects = projects, projects
        if traffic != self._traffic:
            news["traffic"], self._traffic = traffic, traffic
        if {**state, "now": ""} != {**self._state, "now": ""} or state["now"][:19] != self._state["now"][:19]:
            news["state"], self._state = state, state
        return {name: value for name, value in news.items() if value}


def _refs(refs: Any) -> list[RunRef]:
    return list(dict.fromkeys(refs))

"""The two roads through aiohttp: whatever the network does must come to the same on both."""

from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

ROADS = ["short", "by session"]


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """On which road requests go: with something in place of aiohttp's own method, it is never the short one."""
    sent: list[str] = []
    original = aiohttp.ClientSession._request

    async def watched(session: aiohttp.ClientSession, method: str, *arguments: Any, **more: Any) -> Any:
        sent.append(method)
        return await original(session, method, *arguments, **more)

    if request.param != "short":
        monkeypatch.setattr(aiohttp.ClientSession, "_request", watched)
    yield request.param
    assert request.param == "short" or sent

"""A sandbox behind a gateway, for tests of one case."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from attrs import frozen

from fielding_async import FieldingSession, Limits, RunRef, Timeout
from fielding_async.sandbox import Behaviour, Sandbox, SetHeader
from tests.tools.sessions import QUICK, TOKEN
from tests.tools.waits import HANG

from .cases import Entry, Gateway
from .configs import EXCHANGE

__all__ = ["Behind", "behind", "port_of"]


def port_of(sandbox: Sandbox) -> int:
    """Return the port that a sandbox listens on."""
    port = urlsplit(sandbox.url).port
    assert port is not None
    return port


@frozen
class Behind:
    """A sandbox, and where the client goes in."""

    sandbox: Sandbox
    entry: Entry

    def session(self, **arguments: Any) -> FieldingSession:
        """Return a session that goes in by the gateway."""
        settings: dict[str, Any] = {
            "retry": QUICK,
            "timeout": Timeout(total=20, attempt=10),
            "limits": Limits(adaptive=False),
        }
        return FieldingSession(TOKEN, **settings | self.entry.arguments() | arguments)

    async def shown(self, ref: RunRef) -> Mapping[str, str]:
        """Return the headers that a plain GET of somebody else brings, who does not mind a cache."""
        ids = (ref.account_id, ref.project_id, ref.target_group_id, ref.fielding_run_id)
        path = "/demand/accounts/{}/projects/{}/target-groups/{}/fielding-runs/{}".format(*ids)
        headers = {"Authorization": f"Bearer {TOKEN}", "Cint-API-Version": "2025-12-18"}
        async with (
            aiohttp.ClientSession() as plain,
            plain.get(self.entry.base_url + path, headers=headers, ssl=self.entry.ssl or True) as reply,
        ):
            await reply.read()
            return reply.headers

    async def cached(self, ref: RunRef, *, max_age: int = 600) -> str:
        """Let the gateway's cache take the run as it is now, and return the ETag that it keeps."""
        self.sandbox.script(SetHeader("Cache-Control", f"public, max-age={max_age}"), on="get", ref=ref)
        first = (await self.shown(ref))["ETag"]
        asked = len(self.sandbox.requests)
        assert (await self.shown(ref))["ETag"] == first
        assert len(self.sandbox.requests) == asked, "the gateway's cache did not answer"
        return first

    async def aged(self, ref: RunRef) -> None:
        """Wait until the cache says of the run that it is older than a second."""
        async with asyncio.timeout(HANG):
            while int((await self.shown(ref)).get("Age", "0")) < 1:
                await asyncio.sleep(0.02)  # by the clock of the cache

    async def until(self, ref: RunRef, status: str) -> None:
        """Wait until the run has a status: a request that was held up has been carried out."""
        async with asyncio.timeout(HANG):
            while self.sandbox.inspect(ref).status != status:
                await asyncio.sleep(0)


@asynccontextmanager
async def behind(gateway: Gateway, folder: Path, *, behaviour: Behaviour | None = None) -> AsyncIterator[Behind]:
    """Put a gateway in front of a sandbox whose scripted faults must be used up."""
    async with (
        Sandbox(require_token=TOKEN, behaviour=behaviour, hosts=(EXCHANGE,)) as sandbox,
        gateway([port_of(sandbox)], folder) as entry,
    ):
        yield Behind(sandbox, entry)
        sandbox.assert_faults_used()

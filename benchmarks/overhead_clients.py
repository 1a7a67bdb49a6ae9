"""The clients whose overhead is measured: each performs one run action, as its users would write it.

`act(run, turn)` pauses a run, or resumes it when `turn` is odd, under the ETag of the reply before.
"""

import importlib
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp

from fielding_async import FieldingSession, RunRef

__all__ = ["AT_ONCE", "Act", "Client", "by_hand", "generate", "generated", "naive", "ours", "with_httpx"]

AT_ONCE = 32
_ACCOUNT, _PROJECT, _GROUP = 101, "0" * 26, "1" * 26
_VERSION = "2025-12-18"
_HEADERS = {"Authorization": "Bearer token", "Cint-API-Version": _VERSION, "Accept": "application/json"}
_SPECIFICATION = Path(__file__).parents[2] / "shared" / "api" / "fielding-openapi.yml"
_PACKAGE = "generated_client"

Act = Callable[[str, int], Awaitable[None]]
Client = Callable[[str], AbstractAsyncContextManager[Act]]
"""From the base URL."""


def _url(base_url: str, run: str) -> str:
    return f"{base_url}/demand/accounts/{_ACCOUNT}/projects/{_PROJECT}/target-groups/{_GROUP}/fielding-runs/{run}"


def _name(turn: int) -> str:
    return "resume" if turn % 2 else "pause"


@asynccontextmanager
async def ours(base_url: str, **settings: Any) -> AsyncGenerator[Act, None]:
    """The SDK with all its defaults."""
    refs: dict[str, RunRef] = {}
    async with FieldingSession("token", base_url=base_url, **settings) as fielding:

        async def act(run: str, turn: int) -> None:
            if run not in refs:
                refs[run] = RunRef(_ACCOUNT, _PROJECT, _GROUP, run)
            handle = fielding.run(refs[run])
            outcome = await (handle.resume() if turn % 2 else handle.pause())
            assert outcome.effect == "accepted"

        yield act


@asynccontextmanager
async def by_hand(base_url: str) -> AsyncGenerator[Act, None]:
    """aiohttp and a dict of ETags."""
    etags: dict[str, str] = {}
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector, headers=_HEADERS) as http:

        async def act(run: str, turn: int) -> None:
            url = _url(base_url, run)
            if run not in etags:
                async with http.get(url) as reply:
                    await reply.json()
                    etags[run] = reply.headers["ETag"]
            async with http.post(f"{url}/{_name(turn)}", headers={"If-Match": etags[run]}) as reply:
                assert reply.status == 204
                etags[run] = reply.headers["ETag"]

        yield act


@asynccontextmanager
async def naive(base_url: str) -> AsyncGenerator[Act, None]:
    """aiohttp, and a GET for the ETag before each action."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector, headers=_HEADERS) as http:

        async def act(run: str, turn: int) -> None:
            url = _url(base_url, run)
            async with http.get(url) as reply:
                await reply.json()
                etag = reply.headers["ETag"]
            async with http.post(f"{url}/{_name(turn)}", headers={"If-Match": etag}) as reply:
                assert reply.status == 204

        yield act


@asynccontextmanager
async def with_httpx(base_url: str) -> AsyncGenerator[Act, None]:
    """httpx and a dict of ETags."""
    import httpx

    etags: dict[str, str] = {}
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(headers=_HEADERS, limits=limits) as http:

        async def act(run: str, turn: int) -> None:
            url = _url(base_url, run)
            if run not in etags:
                etags[run] = (await http.get(url)).headers["ETag"]
            reply = await http.post(f"{url}/{_name(turn)}", headers={"If-Match": etags[run]})
            assert reply.status_code == 204
            etags[run] = reply.headers["ETag"]

        yield act


def generate(folder: Path) -> str | None:
    """Generate a client from the API's description; return why not, if it cannot be."""
    if not _SPECIFICATION.exists():
        return "the API's description is not at hand"
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(_SPECIFICATION)]
    made = subprocess.run(
        [*command, "--output-path", str(folder / _PACKAGE), "--meta", "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if made.returncode == 0 else "openapi-python-client did not generate it"


@asynccontextmanager
async def generated(base_url: str, folder: Path) -> AsyncGenerator[Act, None]:
    """The client that openapi-python-client generates, and a dict of ETags."""
    sys.path.insert(0, str(folder))

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"{_PACKAGE}.{name}")

    get = module("api.fielding.get_fielding_run").asyncio_detailed
    writes = [module(f"api.fielding.{_name(turn)}_fielding_run").asyncio_detailed for turn in range(2)]
    etags: dict[str, str] = {}
    async with module("client").AuthenticatedClient(base_url=base_url, token="token") as client:

        async def act(run: str, turn: int) -> None:
            ids = (_ACCOUNT, _PROJECT, _GROUP, run)
            if run not in etags:
                etags[run] = (await get(*ids, client=client, cint_api_version=_VERSION)).headers["ETag"]
            reply = await writes[turn % 2](*ids, client=client, if_match=etags[run], cint_api_version=_VERSION)
            assert reply.status_code == 204
            etags[run] = reply.headers["ETag"]

        yield act

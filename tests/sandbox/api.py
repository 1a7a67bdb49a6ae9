"""A plain HTTP client for the tests, no part of the SDK: the sandbox is met as any client would meet it."""

import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from attrs import frozen
from yarl import URL

from fielding_async.core.models import RunRef
from fielding_async.sandbox import DraftRef, Sandbox

VERSION = {"Cint-API-Version": "2025-12-18"}
GONE = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError)


@frozen
class Got:
    """A response, read to its end."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """The JSON body."""
        return json.loads(self.body)

    @property
    def etag(self) -> str:
        """The ETag header."""
        return str(self.headers["ETag"])

    @property
    def job_id(self) -> str:
        """The last segment of the Location header."""
        return str(self.headers["Location"]).rsplit("/", 1)[-1]


class Api:
    """Sends requests to a sandbox."""

    def __init__(self, sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.http = http

    async def send(self, method: str, path: str, *, body: Any = None, **headers: Any) -> Got:
        """Send one request; header names are written with underscores, `None` leaves a usual one out."""
        named = VERSION | {name.replace("_", "-"): value for name, value in headers.items()}
        named = {name: value for name, value in named.items() if value is not None}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if data is not None:
            named = {"Content-Type": "application/json"} | named
        url = URL(self.sandbox.url + path, encoded=True)
        async with self.http.request(method, url, headers=named, data=data, allow_redirects=False) as reply:
            return Got(reply.status, reply.headers, await reply.read())

    async def get(self, ref: RunRef, **headers: Any) -> Got:
        """GET a run."""
        return await self.send("GET", run_path(ref), **headers)

    async def act(self, ref: RunRef, action: str, etag: str | None = None, **headers: Any) -> Got:
        """POST an action under an ETag, by default the true one."""
        etag = etag or self.sandbox.inspect(ref).etag
        return await self.send("POST", f"{run_path(ref)}/{action}", **{"If_Match": etag} | headers)

    async def update(self, ref: RunRef, start: Any, end: Any, etag: str | None = None, **headers: Any) -> Got:
        """PUT both dates under an ETag, by default the true one."""
        etag = etag or self.sandbox.inspect(ref).etag
        body = {"start_fielding_at": start, "end_fielding_at": end}
        return await self.send("PUT", run_path(ref), body=body, **{"If_Match": etag} | headers)

    async def bulk(self, action: str, *groups: str, key: str | None = "key-1", **headers: Any) -> Got:
        """POST a bulk job for target groups of the usual project."""
        return await self.send(
            "POST",
            f"{project_path(self.sandbox)}/batch-jobs/{action}-fielding-runs-by-target-group-id",
            body={"target_group_ids": list(groups)},
            Idempotency_Key=key,
            **headers,
        )

    async def bulk_status(self, action: str, job_id: str) -> Got:
        """GET a bulk job."""
        kind = f"{action}-fielding-runs-by-target-group-id"
        return await self.send("GET", f"{project_path(self.sandbox)}/batch-jobs/{kind}/{job_id}")

    async def draft(self, kind: str, group: DraftRef, body: Any, key: str | None = "key-1", **headers: Any) -> Got:
        """POST a draft job."""
        path = f"{group_path(group)}/fielding-run-jobs/{kind}"
        return await self.send("POST", path, body=body, Idempotency_Key=key, **headers)

    async def draft_status(self, kind: str, group: DraftRef, job_id: str) -> Got:
        """GET a draft job."""
        return await self.send("GET", f"{group_path(group)}/fielding-run-jobs/{kind}/{job_id}")


def project_path(sandbox: Sandbox) -> str:
    """The path of the usual project."""
    return f"/demand/accounts/101/projects/{sandbox.project_id}"


def group_path(group: RunRef | DraftRef) -> str:
    """The path of a target group."""
    project = f"/demand/accounts/{group.account_id}/projects/{group.project_id}"
    return f"{project}/target-groups/{group.target_group_id}"


def run_path(ref: RunRef) -> str:
    """The path of a run."""
    return f"{group_path(ref)}/fielding-runs/{ref.fielding_run_id}"


def status_of(sandbox: Sandbox, ref: RunRef) -> str:
    """GET a run without an event loop. Raises `HTTPError`, closed: an open one is reported from Python 3.14 on."""
    request = urllib.request.Request(sandbox.url + run_path(ref), headers={"Cint-API-Version": "2025-12-18"})
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return str(reply.read().decode())
    except urllib.error.HTTPError as error:
        error.close()
        raise


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Api]:
    """A sandbox with these settings, and a client for it."""
    async with Sandbox(**settings) as sandbox, aiohttp.ClientSession() as http:
        yield Api(sandbox, http)

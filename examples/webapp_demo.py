"""The demo of `webapp.py`: an exchange in a box, and a colleague who changes runs and has webhooks delivered."""

import asyncio
import hmac
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta

from aiohttp import ClientSession, web
from webapp import make_app

from fielding_async import FieldingSession, RunRef
from fielding_async.sandbox import Sandbox

STATUSES = ("live", "live", "paused", "scheduled", "completed", "live")


@contextmanager
def demo_app(url: str) -> Generator[web.Application]:
    """Return the app of the demo, which will be served at `url`, while its exchange is there."""
    with Sandbox() as sandbox:
        refs = [sandbox.add_run(status) for status in STATUSES]
        secret = secrets.token_urlsafe()
        app = make_app(lambda: FieldingSession("demo", base_url=sandbox.url), refs, secret=secret)
        app.cleanup_ctx.append(colleague(sandbox, refs, url, secret))
        yield app


def sign(body: bytes, secret: str, moment: float) -> dict[str, str]:
    """Return the header of a webhook delivery that was signed at `moment`, in Unix seconds."""
    seconds = str(int(moment))
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, "sha256").hexdigest()
    return {"Cint-Signature": f"t={seconds},v1={digest}"}


def colleague(
    sandbox: Sandbox, refs: list[RunRef], url: str, secret: str
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return a context in which somebody else changes a run every few seconds."""

    async def work() -> None:
        async with ClientSession() as http:
            for ref in itertools.cycle(refs):
                await asyncio.sleep(5)
                run = sandbox.inspect(ref)
                status = {"live": "paused", "paused": "live"}.get(run.status)
                sandbox.touch(ref, status=status, end_fielding_at=run.end_fielding_at + timedelta(hours=6))
                body = json.dumps({"event": "target-group-updated", "target_group_id": ref.target_group_id}).encode()
                async with http.post(f"{url}/webhooks/cint", data=body, headers=sign(body, secret, time.time())):
                    pass

    async def context(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(work())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    return context

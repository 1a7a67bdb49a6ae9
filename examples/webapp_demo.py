"""The demo of the web app: a sandbox, and a colleague who changes runs and has webhooks delivered."""

import hmac
import itertools
import json
import secrets
import threading
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

from webapp_parts.settings import Settings

from fielding_async import FieldingSession
from fielding_async.sandbox import Sandbox

STATUSES = ("live", "live", "paused", "scheduled", "completed", "live")


@contextmanager
def demo(url: str, settings: Settings) -> Generator[tuple[Settings, Callable[[], FieldingSession]]]:
    """Yield the settings of the demo, which will be served at `url`, and its sessions, while its sandbox runs."""
    with Sandbox() as sandbox:
        refs = tuple(sandbox.add_run(status) for status in STATUSES)
        settings = replace(settings, refs=refs, secret=secrets.token_urlsafe())
        stopped = threading.Event()
        colleague = threading.Thread(target=work, args=(sandbox, settings, url, stopped))
        colleague.start()
        try:
            yield settings, lambda: FieldingSession("demo", base_url=sandbox.url)
        finally:
            stopped.set()
            colleague.join()


def sign(body: bytes, secret: str, moment: float) -> dict[str, str]:
    """Return the header of a webhook delivery that was signed at `moment`, in Unix seconds."""
    seconds = str(int(moment))
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, "sha256").hexdigest()
    return {"Cint-Signature": f"t={seconds},v1={digest}"}


def work(sandbox: Sandbox, settings: Settings, url: str, stopped: threading.Event) -> None:
    """Change a run every few seconds, as somebody else, until the demo is stopped."""
    for ref in itertools.cycle(settings.refs):
        if stopped.wait(5):
            return
        run = sandbox.inspect(ref)
        status = {"live": "paused", "paused": "live"}.get(run.status)
        sandbox.touch(ref, status=status, end_fielding_at=run.end_fielding_at + timedelta(hours=6))
        body = json.dumps({"event": "target-group-updated", "target_group_id": ref.target_group_id}).encode()
        headers = sign(body, settings.secret or "", time.time())
        request = urllib.request.Request(f"{url}/webhooks/cint", body, headers)  # noqa: S310 - of this machine
        with suppress(OSError), urllib.request.urlopen(request, timeout=5):  # noqa: S310
            pass

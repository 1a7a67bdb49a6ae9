"""A client of the control door for the tests: what any other process would send."""

import json
import urllib.error
import urllib.request
from typing import Any

from attrs import frozen

from fielding_async.sandbox import Sandbox
from tests.tools.waits import HANG

__all__ = ["Door"]


@frozen
class Door:
    """Sends requests to the control door of a sandbox."""

    sandbox: Sandbox

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Return status and JSON of a reply. Header names have underscores; an empty value leaves one out."""
        named = {"Authorization": f"Bearer {self.sandbox.control_token}"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        named = {name: value for name, value in named.items() if value}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(self.sandbox.control_url + path, data, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=HANG) as reply:
                return int(reply.status), json.loads(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

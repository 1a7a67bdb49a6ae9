"""Finds out whether the server at a URL is a sandbox. Every reply of a sandbox says so in its `Server` header."""

import os

from fielding_async.__about__ import SANDBOX

__all__ = ["is_sandbox", "names_sandbox"]

_TIMEOUT = 10.0  # seconds


async def is_sandbox(base_url: str) -> bool:
    """Whether the server at a URL replies, and says that it is a sandbox. Sends one request, without a token."""
    from fielding_async.http.client_sessions import server_header

    return names_sandbox(await server_header(base_url, _TIMEOUT, os.environ))


def names_sandbox(server: str | None) -> bool:
    """Whether a `Server` header is that of a sandbox."""
    return (server or "").startswith(f"{SANDBOX}/")

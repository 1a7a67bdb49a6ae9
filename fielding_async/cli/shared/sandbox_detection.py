"""Finds out whether the server at a URL is a sandbox. Every reply of a sandbox says so in its `Server` header."""

import aiohttp

from fielding_async.__about__ import SANDBOX

__all__ = ["is_sandbox", "names_sandbox"]

_TIMEOUT = 10.0  # seconds


async def is_sandbox(base_url: str) -> bool:
    """Whether the server at a URL replies, and says that it is a sandbox. Sends one request, without a token."""
    try:
        async with (
            aiohttp.ClientSession(trust_env=True, timeout=aiohttp.ClientTimeout(total=_TIMEOUT)) as http,
            http.get(base_url, allow_redirects=False) as reply,
        ):
            return names_sandbox(reply.headers.get("Server"))
    except (aiohttp.ClientError, OSError, ValueError):
        return False


def names_sandbox(server: str | None) -> bool:
    """Whether a `Server` header is that of a sandbox."""
    return (server or "").startswith(f"{SANDBOX}/")

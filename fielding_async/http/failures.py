"""Exceptions of aiohttp as short texts, and the one exception of our own that stands for a lost connection."""

import re

import aiohttp

__all__ = ["DisconnectedError", "describe"]

_MAX_SHOWN = 200
_QUOTED = re.compile(r"""[\s:]*(?:(?<!\w)b|(?<=status line ))['"].*""", re.DOTALL)


class DisconnectedError(Exception):
    """The connection cannot be used any more; the text says why.

    aiohttp sends a PUT again by itself after its own error for this; after this one it does not.
    """


def describe(error: BaseException) -> str:
    """Return what went wrong in a short line, without anything that the server sent: that may be our own headers."""
    kind = type(error).__name__
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return f"{kind}: {error.message if isinstance(error.message, str) else 'in the middle of the head of a reply'}"
    if isinstance(error, aiohttp.InvalidURL):
        return kind  # it may be that of a proxy, with a password
    message = getattr(error, "message", None)
    is_of_parser = isinstance(error, aiohttp.ClientResponseError) or (
        # the parser has errors of its own, which are not public
        not isinstance(error, aiohttp.ClientError)
        and type(error).__module__.startswith("aiohttp.")
        and isinstance(message, str)
    )
    if is_of_parser:
        kind, text = "not HTTP", str(message)  # its own text may hold request headers
    else:
        try:
            text = str(error)
        except Exception:  # noqa: BLE001 - some errors of the library cannot always be turned into a text
            text = ""
    if is_of_parser or isinstance(error, aiohttp.ClientPayloadError):
        text = _QUOTED.sub("", text)
    text = " ".join(text.split())[:_MAX_SHOWN]
    return f"{kind}: {text}" if text else kind

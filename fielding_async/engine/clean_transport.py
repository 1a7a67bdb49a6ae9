"""The transport as the engine uses it: no secret comes back through it, neither in a reply nor in a traceback."""

import asyncio

from fielding_async.core.redaction import Secrets
from fielding_async.core.wire.clean_replies import clean_reply
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing, Transport

__all__ = ["CleanTransport"]


class CleanTransport:
    """A `Transport` in front of another: secrets are taken out of every reply.

    A cancellation loses the frames below: their local variables hold heads of replies, as they came.
    """

    def __init__(self, inner: Transport, secrets: Secrets) -> None:
        self._inner = inner
        self._secrets = secrets

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        """Perform one attempt, as `Transport.send` does."""
        try:
            attempted = await self._inner.send(outgoing, timeout=timeout, connect_timeout=connect_timeout)
        except asyncio.CancelledError as error:
            error.__context__ = None
            raise error.with_traceback(None)  # noqa: B904 - it is the same one
        return clean_reply(attempted, self._secrets.redactor)

    async def fetch_token(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        """Perform a token request. A reply with status 200 is returned as it came: the token is in it."""
        try:
            attempted = await self._inner.send(outgoing, timeout=timeout, connect_timeout=connect_timeout)
        except asyncio.CancelledError as error:
            error.__context__ = None
            raise error.with_traceback(None)  # noqa: B904 - it is the same one
        if isinstance(attempted, Response) and attempted.status == 200:
            return attempted
        return clean_reply(attempted, self._secrets.redactor)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._inner.aclose()

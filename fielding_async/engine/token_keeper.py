"""The bearer token of a session: one fetch shared by all calls that wait for it, and its renewal."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast
from urllib.parse import urlsplit

from fielding_async.core.credentials import Auth, BearerToken, ClientCredentials, TokenSource, check_secret
from fielding_async.core.errors import ConfigurationError, TransportError, public_name
from fielding_async.core.redaction import Secret, Secrets, without_frames
from fielding_async.core.token_life import Token, Trial
from fielding_async.core.wire.clean_replies import clean_reply
from fielding_async.core.wire.replies import Lost, NotSent, Response
from fielding_async.core.wire.token_endpoint import read_token, token_request_body
from fielding_async.http.transport import Outgoing, Transport
from fielding_async.telemetry.attempt_trace import Target, address_of
from fielding_async.telemetry.call_trace import CallTrace

__all__ = ["TokenKeeper"]


class TokenKeeper:
    """The token of one session. Lives on one event loop."""

    def __init__(
        self,
        auth: Auth | TokenSource,
        *,
        secrets: Secrets,
        transport: Transport,
        timeout: float,
        connect_timeout: float,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._auth = auth
        self._secrets = secrets
        self._transport = transport
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._monotonic = monotonic
        self._wall = wall
        self._token: Token | None = None
        self._renew = False
        self._trial = False
        self._fetching: asyncio.Task[None] | None = None
        if isinstance(auth, BearerToken):
            self._token = Token(auth.token, trial=Trial.USELESS)
            secrets.keep(auth.token)
        elif isinstance(auth, ClientCredentials):
            secrets.keep(auth.client_secret)

    def usable(self) -> Token | None:
        """Return the token, or `None` if one must be fetched first."""
        token = self._token
        if token is None or self._renew:
            return None
        if isinstance(self._auth, ClientCredentials) and token.is_due(self._monotonic(), self._wall()):
            return None
        return token

    async def fetch(self, trace: CallTrace) -> None:
        """Fetch a token unless one is usable. All calls that wait share one fetch, and its failure.

        `trace`: that of the call. Telemetry shows the fetch as part of the call that asked for it first.
        """
        if self.usable() is not None:
            return
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.get_running_loop().create_task(self._renewal(trace), name="fielding-async token")
            self._fetching.add_done_callback(_retrieve)
        await asyncio.shield(self._fetching)

    async def _renewal(self, trace: CallTrace) -> None:
        # the task also stores the token, so that it is there when the task is done
        try:
            token = await self._fetch(trace)
        except Exception as error:
            trace.not_renewed(public_name(error))
            raise
        finally:
            self._fetching = None
        trace.renewed()
        token.trial = Trial.PENDING if self._trial else Trial.OPEN
        self._token = token
        self._secrets.renewed(token.value)
        self._renew = self._trial = False

    def refused(self, token: Token, status: int, *, replayed: bool) -> bool:
        """Note a 401 or 403 to a request with this token. Returns whether to send it again with another one.

        `replayed`: the request was sent with an older token before; it is not sent a third time.
        """
        now, wall = self._monotonic(), self._wall()
        if replayed:
            if status == 403 and token is self._token:
                token.refused_again(now)
            return False
        if isinstance(self._auth, BearerToken):
            return False
        if token is not self._token:
            return True
        if self._renew:
            return True
        if not token.renewal_may_help(status, now, wall):
            return False
        self._renew = True
        self._trial = status == 403 and not token.is_over(now, wall)
        return True

    def close_now(self) -> None:
        """Cancel a fetch in progress."""
        if self._fetching is not None:
            self._fetching.cancel()

    async def aclose(self) -> None:
        """Cancel a fetch in progress, and wait until it has ended."""
        fetching = self._fetching
        if fetching is not None:
            fetching.cancel()
            await asyncio.wait([fetching])

    async def _fetch(self, trace: CallTrace) -> Token:
        if isinstance(self._auth, ClientCredentials):
            return await self._fetch_from_endpoint(self._auth, trace)
        assert not isinstance(self._auth, BearerToken)  # noqa: S101 - a static token is never fetched
        pending: object = self._auth()
        if not isinstance(pending, Awaitable):
            raise ConfigurationError(
                "auth: the callable must be async: define it with `async def`, so that it returns an awaitable of"
                " a token"
            )
        async with asyncio.timeout(self._timeout):
            value = Secret.of(await cast("Awaitable[object]", pending))
        return Token(check_secret("auth: the token that the callable returned", value))

    async def _fetch_from_endpoint(self, auth: ClientCredentials, trace: CallTrace) -> Token:
        path = urlsplit(auth.token_url).path
        attempt = trace.attempt(Target("POST", auth.token_url, path, address_of(auth.token_url)))
        headers = {"Accept-Encoding": "gzip, deflate", "Content-Type": "application/json"}
        body = token_request_body(auth)
        sent, wall = self._monotonic(), self._wall()
        status: int | None = None
        error_type: str | None = "cancelled"
        try:
            answer = await self._transport.send(
                Outgoing("POST", auth.token_url, headers, body, traced=trace, on_leave=attempt.leave),
                timeout=self._timeout,
                connect_timeout=self._connect_timeout,
            )
            if not isinstance(answer, Response) or answer.status != 200:  # otherwise it holds the token
                answer = clean_reply(answer, self._secrets.redactor)
            if isinstance(answer, Response):
                status, error_type = answer.status, str(answer.status) if answer.status >= 400 else None
            else:
                error_type = "timeout" if isinstance(answer, Lost) and answer.timed_out else "connection"
        except asyncio.CancelledError as cancelled:
            raise without_frames(cancelled)  # noqa: B904 - it is the same one
        finally:
            attempt.end(status=status, error_type=error_type)
        if not isinstance(answer, Response):
            error = TransportError(f"no token: {answer.reason}", method="POST", path=path)
            error.is_final = isinstance(answer, NotSent) and answer.is_final
            raise error
        value, seconds = read_token(answer, path)
        # counted from before the request, so that the token is never used longer than it lasts
        return Token.lasting(value, seconds, sent, wall)


def _retrieve(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()  # if no call waits any more, asyncio would log it as never retrieved

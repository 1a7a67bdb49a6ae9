"""Bearer tokens: where they come from, one fetch shared by all who wait, renewal."""

import asyncio
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlsplit

from attrs import field, frozen

from fielding_async.core.addresses import check_url
from fielding_async.core.errors import (
    AuthenticationError,
    ConfigurationError,
    FieldingError,
    ProtocolError,
    TransportError,
    public_name,
)
from fielding_async.core.token_life import Token, Trial
from fielding_async.core.wire.replies import Lost, Response
from fielding_async.http.transport import Outgoing, Transport
from fielding_async.telemetry.attempt_trace import Target, address_of
from fielding_async.telemetry.call_trace import CallTrace

__all__ = ["Auth", "BearerToken", "ClientCredentials", "TokenKeeper", "TokenSource", "resolve_auth"]

_LEAST_SECRET = 8
_TOKEN = re.compile(r"[\x21-\x7e]+", re.ASCII)

TokenSource = Callable[[], Awaitable[str]]
"""An async callable that returns a token."""


def _check_secret(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ConfigurationError(f"{name}: must be a non-empty str of printable ASCII characters without spaces")
    return value


def _token(value: str) -> str:
    return _check_secret("token", value)


def _client_id(value: str) -> str:
    return _check_secret("client_id", value)


def _client_secret(value: str) -> str:
    return _check_secret("client_secret", value)


def _token_url(value: str) -> str:
    return check_url("token_url", value)


@frozen
class BearerToken:
    """A static token. Raises `ConfigurationError` if it cannot be sent in a header."""

    __module__ = "fielding_async"

    token: str = field(repr=False, converter=_token)


@frozen
class ClientCredentials:
    """OAuth 2.0 client credentials; the session fetches its tokens with them and renews them.

    Source: RFC 6749, section 4.4, with the fields that the exchange documents. Raises `ConfigurationError` for a
    missing secret, or a `token_url` that is not https (plain http is for loopback hosts only).
    """

    __module__ = "fielding_async"

    client_id: str = field(converter=_client_id)
    client_secret: str = field(repr=False, converter=_client_secret)
    token_url: str = field(default="https://auth.cint.com/oauth/token", converter=_token_url, kw_only=True)
    audience: str = field(default="https://api.luc.id", kw_only=True)


Auth = BearerToken | ClientCredentials
"""What `FieldingSession(auth=…)` takes, beside a plain token and an async callable that returns one."""


def resolve_auth(auth: object, environment: Mapping[str, str]) -> Auth | TokenSource:
    """Return where tokens come from: the argument, or `FIELDING_TOKEN`, or the client credentials' variables."""
    if isinstance(auth, BearerToken | ClientCredentials):
        return auth
    if isinstance(auth, str):
        return BearerToken(auth)
    if callable(auth):
        return cast("TokenSource", auth)
    if auth is not None:
        raise ConfigurationError(
            f"auth: must be a token, BearerToken, ClientCredentials or an async callable, not {type(auth).__name__}"
        )
    if environment.get("FIELDING_TOKEN"):
        return BearerToken(_check_secret("FIELDING_TOKEN", environment["FIELDING_TOKEN"]))
    names = ("FIELDING_CLIENT_ID", "FIELDING_CLIENT_SECRET")
    if all(environment.get(name) for name in names):
        return ClientCredentials(*(_check_secret(name, environment[name]) for name in names))
    raise ConfigurationError(
        "no token: pass auth=, or set FIELDING_TOKEN, or both FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET"
    )


class TokenKeeper:
    """The token of one session. Lives on one event loop."""

    def __init__(
        self,
        auth: Auth | TokenSource,
        *,
        transport: Transport,
        timeout: float,
        connect_timeout: float,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._auth = auth
        self._transport = transport
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._monotonic = monotonic
        self._wall = wall
        self._token: Token | None = None
        self._renew = False
        self._trial = False
        self._fetching: asyncio.Task[None] | None = None
        self._recent: deque[str] = deque(maxlen=3)
        if isinstance(auth, BearerToken):
            self._token = Token(auth.token, trial=Trial.USELESS)
            self._recent.append(auth.token)

    def secrets(self) -> list[str]:
        """Return what must never be shown: the tokens of late, and the client secret.

        What is shorter than eight characters is no secret, and taking it out would garble every text.
        """
        found = [*self._recent, self._auth.client_secret] if isinstance(self._auth, ClientCredentials) else self._recent
        return [secret for secret in found if len(secret) >= _LEAST_SECRET]

    def usable(self) -> Token | None:
        """Return the token, or `None` if one must be fetched first."""
        token = self._token
        if token is None or self._renew:
            return None
        if isinstance(self._auth, ClientCredentials) and token.is_due(self._monotonic(), self._wall()):
            return None
        return token

    async def fetch(self, trace: CallTrace) -> None:
        """Fetch a token unless one is usable; all who wait share one fetch, and its failure.

        It is told of as part of the call that came first, whose `trace` this is.
        """
        if self.usable() is not None:
            return
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.get_running_loop().create_task(self._renewal(trace), name="fielding-async token")
            self._fetching.add_done_callback(_observed)
        await asyncio.shield(self._fetching)

    async def _renewal(self, trace: CallTrace) -> None:
        # all of it in the task, so that whoever sees the task done sees the token as well
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
        self._recent.append(token.value)
        self._renew = self._trial = False

    def refused(self, token: Token, status: int, *, replayed: bool) -> bool:
        """Note a 401 or 403 to a request that bore `token`; return whether it is worth sending with another one.

        `replayed`: the request had been sent with an older token before; it is not replayed twice.
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

    async def aclose(self) -> None:
        """Stop a fetch under way."""
        if self._fetching is not None:
            fetching = self._fetching
            fetching.cancel()
            await asyncio.wait([fetching])

    async def _fetch(self, trace: CallTrace) -> Token:
        if isinstance(self._auth, ClientCredentials):
            return await self._ask_token_endpoint(self._auth, trace)
        assert not isinstance(self._auth, BearerToken)  # noqa: S101 - a static token is never fetched
        pending: object = self._auth()
        if not isinstance(pending, Awaitable):
            raise ConfigurationError("auth: the callable must be async (it must return an awaitable of a token)")
        async with asyncio.timeout(self._timeout):
            value = await cast("Awaitable[object]", pending)
        return Token(_check_secret("auth: the token that the callable returned", value))

    async def _ask_token_endpoint(self, auth: ClientCredentials, trace: CallTrace) -> Token:
        body = {
            "client_id": auth.client_id,
            "client_secret": auth.client_secret,
            "grant_type": "client_credentials",
            "auth_scopes": "app:api",
            "audience": auth.audience,
        }
        path = urlsplit(auth.token_url).path
        attempt = trace.attempt(Target("POST", auth.token_url, path, address_of(auth.token_url)))
        headers = {"Content-Type": "application/json"}

        def may_leave() -> float:
            headers.update(attempt.leave())
            return 0.0

        sent, wall = self._monotonic(), self._wall()
        status: int | None = None
        error_type: str | None = "cancelled"
        try:
            answer = await self._transport.send(
                Outgoing("POST", auth.token_url, headers, json.dumps(body).encode(), may_leave, trace),
                timeout=self._timeout,
                connect_timeout=self._connect_timeout,
            )
            if isinstance(answer, Response):
                status, error_type = answer.status, str(answer.status) if answer.status >= 400 else None
            else:
                error_type = "timeout" if isinstance(answer, Lost) and answer.timed_out else "connection"
        finally:
            attempt.end(status=status, error_type=error_type)
        if not isinstance(answer, Response):
            raise TransportError(f"no token: {answer.reason}", method="POST", path=path)
        value, seconds = _read_token(answer, path)
        # counted from when it was asked for, so that it is never thought to last longer than it does
        return Token.lasting(value, seconds, sent, wall)


def _observed(task: "asyncio.Task[None]") -> None:
    """Look at a failure that nobody may be waiting for any more."""
    if not task.cancelled():
        task.exception()


def _read_token(answer: Response, path: str) -> tuple[str, float | None]:
    data: dict[str, Any] | None = None
    with suppress(ValueError, RecursionError):
        loaded = json.loads(answer.body)
        data = cast("dict[str, Any]", loaded) if isinstance(loaded, dict) else None
    if answer.status != 200:
        said = data.get("error") if data else None
        text = f": {said[:100]}" if isinstance(said, str) and said.isprintable() else ""
        raise _refusal(answer.status, f"no token: {answer.status} from the token endpoint{text}", path)
    if data is None:
        raise ProtocolError("no token: the token endpoint's reply is not a JSON object", method="POST", path=path)
    value: Any = data.get("access_token")
    seconds: Any = data.get("expires_in")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ProtocolError("no token: $.access_token is not a usable token", method="POST", path=path)
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0):
        raise ProtocolError("no token: $.expires_in is not a number of seconds", method="POST", path=path)
    return value, seconds


def _refusal(status: int, message: str, path: str) -> FieldingError:
    if status in {400, 401, 403}:
        return AuthenticationError(
            f"{message} (check the client id and secret)", status=status, method="POST", path=path
        )
    return TransportError(message, method="POST", path=path)

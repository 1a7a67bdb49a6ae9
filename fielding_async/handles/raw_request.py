"""A request that the caller describes, for operations that this version does not know."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from fielding_async.core.config import DEFAULT_TIMEOUT, TimeoutArg
from fielding_async.core.errors import ConfigurationError, FieldingError, briefly
from fielding_async.core.wire.raw_requests import NAME, SET_HERE, raw_request
from fielding_async.core.wire.raw_response import RawResponse, decode_any, headers_of
from fielding_async.core.wire.replies import decoded
from fielding_async.core.wire.requests import Request
from fielding_async.engine.engine import Engine, EngineSource

__all__ = ["request"]

_KEY = "idempotency-key"


async def request(
    session: EngineSource,
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
    json: Any = None,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    timeout: TimeoutArg = DEFAULT_TIMEOUT,
) -> RawResponse:
    """Send a request for an operation that this version does not know, with the session's token, limits and trace.

        found = await fielding.request("GET", "/demand/accounts/101/reports", params={"page_size": 50})
        print(found.status, found.json, found.headers.get("Content-Type"))

    `method`: `"GET"`, `"POST"`, `"PUT"`, `"PATCH"` or `"DELETE"`. `path`: the path below the base URL, percent-encoded.
    It starts with a slash. It has no host, no query, no fragment, no empty segment, and no segment `.` or `..`.
    `params`: the query, a mapping or pairs of name and value. A value is a str, an int, a bool (sent as `true` or
    `false`) or a list of these (the name is then sent several times). `json`: the body, any JSON value; `None`: no
    body. A GET has no body. `headers`: more headers, such as `If-Match` or `Idempotency-Key`. The headers that the
    session sets, and headers that change what the request means, are not allowed. `timeout`: seconds from now.

    A GET is retried like every read. A request with another method is sent once. The session sends it again only if it
    was not sent at all, or after a response that means that nothing was applied (429; 401, or 403 for a token that may
    have expired). If it may have been applied and no usable reply came (a timeout, a cut connection, a 5xx, an error
    page of a gateway, a body that is not JSON), the call raises `OutcomeUnknownError`. Then fetch what the request
    changes before you send it again. A POST or PUT below `fielding-runs/…` is refused: use `Run.perform`.

    Raises `ConfigurationError` for a bad argument, before anything is sent; `APIError` or a subclass by the status of
    the response; `ProtocolError` for a reply to a GET that is not JSON; `TransportError`; `DeadlineExceededError`;
    `SessionClosedError`.
    """
    asked = raw_request(method, path, params, json, headers)
    engine = session.engine()
    _refuse_doubles(asked, engine)
    is_write = asked.operation.is_write
    key = next((value for name, value in asked.headers if name.lower() == _KEY), None)
    with engine.call(NAME, timeout, idempotency_key=key) as call:
        pending = engine.sender.prepare_raw(call, asked)
        try:
            end = await engine.sender.send(pending)
        except asyncio.CancelledError as cancelled:
            if is_write:
                pending.cancelled(cancelled, f"{method} {asked.path} was cancelled, and may or may not be applied")
            raise
        response = end.accepted
        if response is None:
            end.error.filled(method=method, path=asked.path)
            if is_write and end.attempts.may_be_applied:
                raise end.unknown(_in_doubt(key))
            raise end.error
        try:
            value = decoded(asked, response, decode_any)
        except FieldingError as error:
            if is_write:
                raise end.unknown(_in_doubt(key), error) from error
            raise
        return RawResponse(
            status=response.status, headers=headers_of(response), json=value, trace_id=call.trace.trace_id
        )


def _refuse_doubles(asked: Request, engine: Engine) -> None:
    """Raise for a header that the caller's `aiohttp.ClientSession` sends as well: it would be sent twice."""
    http = engine.settings.http
    for name, _ in asked.headers:
        if http is not None and name in http.headers and name.lower() not in SET_HERE:
            raise ConfigurationError(
                f"headers[{briefly(name)}]: must not be passed, as it is a default header of the"
                " aiohttp.ClientSession of http=: leave it out here or there"
            )


def _in_doubt(key: str | None) -> str:
    what = (
        "the request may or may not have been applied, and is not sent again; GET what it changes, and send it again"
        " only if it has not changed"
    )
    return what if key is None else f"{what}, or with the same Idempotency-Key if the operation takes one"

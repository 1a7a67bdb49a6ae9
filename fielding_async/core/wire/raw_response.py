"""The response to a request that the caller described: status, headers without secrets, and JSON."""

import json as json_module
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn, cast

from attrs import field, frozen

from fielding_async.core.errors import ProtocolError

from .bodies import not_json
from .replies import Response

__all__ = ["RawResponse", "ResponseHeaders", "decode_any", "headers_of"]

_SECRET = frozenset({"authorization", "proxy-authorization", "set-cookie", "set-cookie2"})


class ResponseHeaders(Mapping[str, str]):
    """The headers of a response, read-only. Lookup ignores the case of names; iteration yields them in lower case.

    The values of a header that came in several lines are joined by a comma and a space (RFC 9110, section 5.3).
    """

    __module__ = "fielding_async"
    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        """Take names and values, in their order."""
        self._values: dict[str, str] = {}
        for name, value in pairs:
            before = self._values.get(name.lower())
            self._values[name.lower()] = value if before is None else f"{before}, {value}"

    def __getitem__(self, name: str) -> str:
        """Return the value of a header. Raises `KeyError` if the response does not have it."""
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        """Whether the response has this header."""
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in lower case."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        """Whether the other one has the same names with the same values."""
        return self._values == other._values if isinstance(other, ResponseHeaders) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return ResponseHeaders, (tuple(self._values.items()),)

    def __repr__(self) -> str:
        return f"<ResponseHeaders: {', '.join(self) or 'none'}>"


@frozen(kw_only=True)
class RawResponse:
    """The response to `FieldingSession.request`: a success, with a status from 200 to 299."""

    __module__ = "fielding_async"

    status: int
    """The HTTP status, from 200 to 299."""
    headers: ResponseHeaders = field(repr=False)
    """The headers. Cookies are left out. Secrets of the session, such as its token, are replaced in values."""
    json: Any = None
    """The value of the JSON body, as `json.loads` returns it; `None` where there is no body, or it is `null`."""
    trace_id: str
    """The W3C trace id of the call, 32 hex digits."""


def headers_of(response: Response) -> ResponseHeaders:
    """Return the headers of a response that was cleaned of secrets, without those that hold one by their meaning."""
    pairs = getattr(response.headers, "pairs", None)  # a name may have come more than once
    found = cast("list[tuple[str, str]]", list(response.headers.items()) if pairs is None else pairs())
    return ResponseHeaders(pair for pair in found if pair[0].lower() not in _SECRET)


def decode_any(body: bytes) -> Any:
    """Return the JSON value of a body, `None` if it is empty; raises `ProtocolError`."""
    if not body.strip():
        return None
    try:
        return json_module.loads(body, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(not_json(body, "the response", error)) from None


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")

"""Requests of the caller's own making, for operations that this version does not know: their checks, and the response.

All is checked before anything is sent. A path stays below the base URL, also for a server that decodes it again.
"""

import json as json_module
import re
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any, cast
from urllib.parse import quote, unquote

from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.ids import check_idempotency_key

from .operations import ANY_SUCCESS, Method, Operation
from .requests import Request, request_to
from .response_headers import is_sendable

__all__ = ["NAME", "SET_HERE", "raw_request"]

NAME = "request"
"""The name of such a call, in its span, metrics and log lines."""

_METHODS: tuple[Method, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ROWS = tuple(
    Operation(NAME, "", method, "", ANY_SUCCESS, "none" if method == "GET" else "not known") for method in _METHODS
)

_LONGEST_TARGET = 16 * 1024  # characters, of the path and the query together
_LONGEST_HEADER = 8 * 1024  # characters, of a value
_MOST_HEADERS = 50
_LARGEST_BODY = 32 * 1024 * 1024  # bytes, as of a response
_DEEPEST = 100  # arrays and objects in one another
_MOST_DECODINGS = 4
_MOST_DIGITS = 100
_LARGEST_INT = 10**_MOST_DIGITS

_PATH = re.compile(r"/(?:[A-Za-z0-9/._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, section 5.6.2
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

SET_HERE = frozenset(
    """
    accept accept-encoding authorization cache-control cint-api-version content-encoding content-length content-type
    traceparent tracestate user-agent
    """.split()  # noqa: SIM905 - words, not a table
)
"""Headers that the session sets itself."""
_NEVER = frozenset(
    """
    connection cookie date expect host keep-alive proxy-authorization proxy-connection te trailer transfer-encoding
    upgrade x-http-method x-http-method-override x-method-override
    """.split()  # noqa: SIM905
)
"""Headers that change where the request goes, how it is framed, or what its method means."""
_NOT_OF_GETS = frozenset({"if-modified-since", "if-none-match", "if-range", "range"})
"""Headers that turn the reply to a GET into a part, or into nothing."""


def raw_request(method: Any, path: Any, params: Any, json: Any, headers: Any) -> Request:
    """Return the request that the arguments describe; raises `ConfigurationError`, which shows no header's value."""
    row = next((row for row in _ROWS if row.method == method), None)
    if row is None:
        raise ConfigurationError(f"method={briefly(method)}: must be one of {', '.join(_METHODS)}, in capital letters")
    path = _checked_path(path)
    _refuse_run_actions(row.method, path)
    query = _query(params)
    if len(path) + len(query) > _LONGEST_TARGET:
        raise ConfigurationError(
            f"params: path and query must have at most {_LONGEST_TARGET} characters together, not"
            f" {len(path) + len(query)}: ask for less at a time"
        )
    is_get = row.method == "GET"
    own = _checked_headers(headers, is_get=is_get)
    if is_get and json is not None:
        raise ConfigurationError("json: must be left out of a GET, which has no body: use params=")
    return request_to(row, path, f"?{query}" if query else "", own, None if json is None else _encoded(json))


# -- the path


def _checked_path(path: Any) -> str:
    if not isinstance(path, str):
        raise ConfigurationError(f"path: must be a str, not {type(path).__name__}")
    plain = _plain(path)
    if len(plain) > _LONGEST_TARGET:
        raise ConfigurationError(f"path: must have at most {_LONGEST_TARGET} characters, not {len(plain)}")
    problem = _problem_of(plain)
    if problem is not None:
        raise ConfigurationError(f"path={briefly(plain, 100)}: {problem}")
    return plain


def _plain(text: str) -> str:
    """Return a plain str, also for a member of an enumeration."""
    return str.__str__(text)


def _problem_of(path: str) -> str | None:
    if _SCHEME.match(path) or path.startswith("//"):
        return "must be a path below base_url, such as /demand/accounts, without scheme and host"
    if not path.startswith("/"):
        return "must start with a slash, such as /demand/accounts"
    if "?" in path or "#" in path:
        return "must have no query and no fragment; params= is for the query"
    if _PATH.fullmatch(path) is None:
        return (
            "must have at least one segment, and only characters that a URL may have in its path; encode others with"
            " urllib.parse.quote(segment, safe='')"
        )
    if "//" in path:
        return "must have no empty segment"
    for segment in path.strip("/").split("/"):
        plain = _decoded(segment)
        if _without_parameters(plain) in {"", ".", ".."}:
            return "must have no segment that is empty, . or .., encoded or not, also before a semicolon"
        if "/" in plain or "\\" in plain:
            return "must have no encoded slash or backslash"
        if not plain.isprintable():
            return "must have no control characters or blanks but the plain one, encoded or not"
        if unquote(plain, errors="replace") != plain:
            return f"must not be encoded more than {_MOST_DECODINGS} times over"
    return None


def _decoded(segment: str) -> str:
    """Return a segment decoded as often as that changes it: what is behind a gateway may decode again."""
    for _ in range(_MOST_DECODINGS):
        segment = unquote(segment, errors="replace")
    return segment


def _without_parameters(segment: str) -> str:
    return segment.partition(";")[0]  # some servers take `..;a=b` for `..`


def _refuse_run_actions(method: str, path: str) -> None:
    """Raise for a write to a run: it needs the ETag, the turn and the judgement of `Run.perform`."""
    if method not in {"POST", "PUT"}:
        return
    names = [_without_parameters(_decoded(segment)).casefold().strip() for segment in path.strip("/").split("/")]
    if "fielding-runs" in names[:-1]:
        raise ConfigurationError(
            f"path={briefly(path, 100)}: must not be a {method} below fielding-runs/…, which changes a run: use"
            " run.perform(action), run.update(…) or run.pause() and the like, which send its ETag and tell what became"
            " of a lost reply"
        )


# -- the query


def _query(params: Any) -> str:
    return "&".join(f"{_quoted(name)}={_quoted(text)}" for name, text in _pairs("params", params, _param_texts))


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _pairs(argument: str, value: Any, read: Callable[[str, Any], list[Any]]) -> list[tuple[str, Any]]:
    """Return the pairs of a mapping, or of an iterable of pairs. `read`: returns the texts of one value."""
    if value is None:
        return []
    whole = value
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise ConfigurationError(
            f"{argument}: must be a mapping, or pairs of name and value, not {type(value).__name__}"
        )
    found: list[tuple[str, str]] = []
    given: Iterable[Any] = whole.items() if isinstance(value, Mapping) else whole
    for number, pair in enumerate(given, 1):
        if not isinstance(pair, tuple | list) or len(cast("tuple[Any, ...]", pair)) != 2:
            raise ConfigurationError(
                f"{argument}: must be a mapping, or pairs of name and value, such as {{'name': 'value'}}"
            )
        name, content = cast("tuple[Any, Any]", pair)
        if not isinstance(name, str) or not name or not _is_text(name):
            raise ConfigurationError(f"{argument}: name {number} must be a str of at least one character")
        found += [(_plain(name), text) for text in read(name, content)]
    return found


def _is_text(text: str) -> bool:
    """Whether a text can be written in UTF-8: it has no lone surrogates."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _param_texts(name: str, value: Any) -> list[str]:
    """Return the texts of a parameter: one for each value of a list."""
    if isinstance(value, tuple | list):
        return [_param_text(name, one) for one in cast("tuple[Any, ...]", value)]
    return [_param_text(name, value)]


def _param_text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < _LARGEST_INT:
        return int.__repr__(value)
    if isinstance(value, str) and _is_text(value):
        return _plain(value)
    if isinstance(value, str):
        raise ConfigurationError(f"params[{briefly(name)}]: must be whole characters, without a lone surrogate")
    if isinstance(value, int):
        raise ConfigurationError(f"params[{briefly(name)}]: must have at most {_MOST_DIGITS} digits")
    remedy = "leave the name out to send none" if value is None else "write other values as text"
    raise ConfigurationError(
        f"params[{briefly(name)}]: must be a str, int, bool (sent as true or false) or a list of these, not"
        f" {type(value).__name__}; {remedy}"
    )


# -- the headers


def _header_value(_name: str, value: Any) -> list[Any]:
    return [value]  # checked below, where its name is known to be one


def _checked_headers(headers: Any, *, is_get: bool) -> tuple[tuple[str, str], ...]:
    found = _pairs("headers", headers, _header_value)
    if len(found) > _MOST_HEADERS:
        raise ConfigurationError(f"headers: must be at most {_MOST_HEADERS}, not {len(found)}")
    seen: set[str] = set()
    for number, (name, value) in enumerate(found, 1):
        if _TOKEN.fullmatch(name) is None:  # it is not shown: it may be a value in the wrong place
            raise ConfigurationError(f"headers: name {number} must be the name of a header (RFC 9110, section 5.6.2)")
        what, low = f"headers[{briefly(name)}]", name.lower()
        if low in SET_HERE:
            raise ConfigurationError(f"{what}: must not be passed, as the session sets it: leave it out")
        if low in _NEVER:
            raise ConfigurationError(f"{what}: must not be set for one request: leave it out")
        if is_get and low in _NOT_OF_GETS:
            raise ConfigurationError(
                f"{what}: must not be in a GET, which asks for the whole and fresh reply: leave it out"
            )
        if low in seen:
            raise ConfigurationError(f"{what}: must be given once: join its values by a comma")
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance] - whatever the caller passed
            raise ConfigurationError(f"{what}: must be a str, not {type(value).__name__}")
        if not is_sendable(value) or value != value.strip() or len(value) > _LONGEST_HEADER:
            raise ConfigurationError(
                f"{what}: must have no control characters, no blank at either end, and at most {_LONGEST_HEADER}"
                " characters"
            )
        if low == "idempotency-key":
            check_idempotency_key(value)
        seen.add(low)
    return tuple((name, _plain(value)) for name, value in found)


# -- the body


def _encoded(value: Any) -> bytes:
    _check_json(value, "$", 0)
    body = json_module.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    if len(body) > _LARGEST_BODY:
        raise ConfigurationError(f"json: must have at most {_LARGEST_BODY} bytes, not {len(body)}")
    return body


def _check_json(value: Any, place: str, depth: int) -> None:
    """Raise for what is no JSON value, with its place: `json` of the standard library would change or refuse it."""
    whole = value
    if depth > _DEEPEST:
        raise ConfigurationError(
            f"json: must have at most {_DEEPEST} levels of arrays and objects, and none that holds itself"
        )
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if abs(value) >= _LARGEST_INT:
            raise ConfigurationError(f"json: {place[:100]} must have at most {_MOST_DIGITS} digits")
    elif isinstance(value, str):
        if not _is_text(value):
            raise ConfigurationError(f"json: {place[:100]} must be whole characters, without a lone surrogate")
    elif isinstance(value, float):
        if not isfinite(value):
            raise ConfigurationError(f"json: {place[:100]} must be a finite number, as JSON has no {value}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(cast("list[Any]", value)):
            _check_json(item, f"{place}[{index}]", depth + 1)
    elif isinstance(value, dict):
        for name, item in whole.items():
            if not isinstance(name, str) or not _is_text(name):
                raise ConfigurationError(f"json: {place[:100]} has the name {briefly(name)}: each must be a str")
            _check_json(item, f"{place}.{name}", depth + 1)
    else:
        raise ConfigurationError(
            f"json: {place[:100]} must be a dict, list, str, int, float, bool or None, not {type(value).__name__}"
        )

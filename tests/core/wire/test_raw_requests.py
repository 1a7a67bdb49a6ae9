"""What a request of the caller's own may be: path, query, headers and body, checked before anything is sent."""

import json
import re
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fielding_async import ConfigurationError
from fielding_async.core.wire.raw_requests import raw_request
from fielding_async.core.wire.requests import Request

BASE = "https://api.example/v1"
SECRET = "a-value-that-is-not-shown"


class Status(StrEnum):
    """A text that is a member of an enumeration."""

    LIVE = "live"


def ask(method: str = "POST", path: str = "/a", params: Any = None, json: Any = None, headers: Any = None) -> Request:
    """Return the request of these arguments."""
    return raw_request(method, path, params, json, headers)


def refused(**arguments: Any) -> str:
    """Return the message with which these arguments are refused."""
    with pytest.raises(ConfigurationError) as caught:
        ask(**arguments)
    assert SECRET not in str(caught.value)
    return caught.value.message


# -- methods and paths


@pytest.mark.parametrize("method", ["get", "HEAD", "OPTIONS", "TRACE", "CONNECT", "GET ", "", "POST\r\nX: y", None, 5])
def test_a_method_is_one_of_five(method: Any) -> None:
    """Another method, also one in small letters, is refused, and the message lists those that are sent."""
    assert "must be one of GET, POST, PUT, PATCH, DELETE, in capital letters" in refused(method=method)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("https://evil.example/a", "below base_url"),
        ("HTTP://evil.example", "below base_url"),
        ("//evil.example/a", "below base_url"),
        ("demand/accounts", "must start with a slash"),
        ("", "must start with a slash"),
        ("/", "at least one segment"),
        ("/a?b=c", "params= is for the query"),
        ("/a#b", "no fragment"),
        ("/a//b", "no empty segment"),
        ("/a/../b", "no segment that is empty, . or .."),
        ("/a/..", "no segment that is empty, . or .."),
        ("/./a", "no segment that is empty, . or .."),
        ("/a/%2e%2E/b", "no segment that is empty, . or .."),
        ("/a/.%2e/b", "no segment that is empty, . or .."),
        ("/a/%252e%252e/b", "no segment that is empty, . or .."),
        ("/a/..;x=1/b", "no segment that is empty, . or .."),
        ("/a/..%3bx/b", "no segment that is empty, . or .."),
        ("/a/;x/b", "no segment that is empty, . or .."),
        ("/a%2fb", "no encoded slash"),
        ("/a%252Fb", "no encoded slash"),
        ("/a%5cb", "no encoded slash or backslash"),
        ("/a\\b", "only characters that a URL may have"),
        ("/a b", "only characters that a URL may have"),
        ("/é", "encode others with"),
        ("/a%zz", "only characters that a URL may have"),
        ("/a%", "only characters that a URL may have"),
        ("/a%00", "no control characters"),
        ("/a%0d%0aHost:%20evil", "no control characters"),
        ("/a\r\nHost: evil", "only characters that a URL may have"),
        ("/a%2525252525252541", "times over"),
        ("/" + "a" * 20_000, "at most 16384"),
        (None, "must be a str, not NoneType"),
        (b"/a", "must be a str, not bytes"),
    ],
)
def test_a_path_stays_below_the_base_url(path: Any, said: str) -> None:
    """Whatever could lead elsewhere, or be read in two ways, is refused; the message says what to do."""
    message = refused(path=path)
    assert message.startswith("path")
    assert said in message


@pytest.mark.parametrize(
    "path",
    ["/a", "/demand/accounts/101", "/a/", "/a.b/c..d/...", "/a:b;c=d,e@f", "/%C3%A9%20x", "/~a/-_!$&'()*+", "/%25"],
)
def test_any_other_path_is_sent_as_it_is(path: str) -> None:
    """A path that is encoded as in a URL goes out byte for byte."""
    assert ask(path=path).path == path


PIECES = st.sampled_from([*"/.%;?#\\:@ a2eEfF5cC0", "..", "//", "%2e", "%2F", "%25", "%5c", "http:", "é", "\r\n", "\0"])


@given(st.lists(PIECES, max_size=12).map("".join))
def test_no_path_that_is_sent_leads_elsewhere(tail: str) -> None:
    """However often a server decodes what is sent, and however it joins it, the result is below the base URL."""
    path = f"/{tail}"
    try:
        sent = ask(path=path).path
    except ConfigurationError:
        return
    assert sent == path
    url = BASE + sent
    for _ in range(6):
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "api.example", "", "")
        for joined in (urljoin("https://api.example/", parts.path), urljoin(BASE, url)):
            assert urlsplit(joined).netloc == "api.example"
            assert urlsplit(joined).path.startswith("/v1/")
        assert not {".", "..", ""} & {segment.partition(";")[0] for segment in parts.path.rstrip("/").split("/")[1:]}
        assert url.isprintable()
        url = unquote(url)
        if "?" in url or "#" in url:  # a server that decodes before it splits is beyond help
            break


@given(st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="/\\%;"), min_size=1, max_size=20))
def test_a_quoted_segment_is_sent(text: str) -> None:
    """What `urllib.parse.quote` makes of a text is sent as it is, unless it is a dot segment."""
    path = "/a/" + quote(text, safe="")
    if text in {".", ".."}:
        assert "no segment that is empty, . or .." in refused(path=path)
    else:
        assert ask(path=path).path == path


RUN = "/demand/accounts/1/projects/P/target-groups/T/fielding-runs"


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "path",
    [
        f"{RUN}/ID",
        f"{RUN}/ID/",
        f"{RUN}/ID/pause",
        f"{RUN}/ID/something-new",
        f"{RUN.replace('fielding-runs', 'Fielding-Runs')}/ID",
        f"{RUN.replace('fielding-runs', 'fielding%2Druns')}/ID",
        f"{RUN.replace('fielding-runs', 'fielding%252druns')}/ID",
        f"{RUN.replace('fielding-runs', 'fielding-runs;a=b')}/ID",
    ],
)
def test_the_paths_of_run_actions_are_refused(method: str, path: str) -> None:
    """A write to a run needs its ETag, its turn and the judgement: the message names what does that."""
    assert "use run.perform(action)" in refused(method=method, path=path)


def test_other_requests_near_runs_are_sent() -> None:
    """A GET of a run, a list, a job of a draft, and a word that only resembles them are no run actions."""
    assert ask("GET", f"{RUN}/ID").path
    assert ask("POST", RUN).path
    assert ask("POST", f"{RUN}/").path
    assert ask("POST", "/fielding-run-jobs/x/y").path
    assert ask("POST", "/my-fielding-runs/x").path


# -- the query


@pytest.mark.parametrize(
    ("params", "query"),
    [
        (None, ""),
        ({}, ""),
        ([], ""),
        ({"a": "b c&d=e+f", "é": "/?"}, "?a=b%20c%26d%3De%2Bf&%C3%A9=%2F%3F"),
        ({"a": True, "b": False, "c": 7, "d": -1}, "?a=true&b=false&c=7&d=-1"),
        ({"a": ["x", 1, True], "b": ()}, "?a=x&a=1&a=true"),
        ([("a", "1"), ["b", 2], ("a", "3")], "?a=1&b=2&a=3"),
        ({"status": Status.LIVE}, "?status=live"),
        ({"a": ""}, "?a="),
    ],
)
def test_a_query_is_made_of_pairs(params: Any, query: str) -> None:
    """Names and values are encoded, a name may be repeated, and booleans are written as JSON writes them."""
    assert ask("GET", params=params).query == query


@given(st.lists(st.tuples(st.text(min_size=1), st.text() | st.integers(-(10**50), 10**50) | st.booleans())))
def test_a_query_says_what_it_was_made_of(pairs: list[tuple[str, Any]]) -> None:
    """Whatever the texts, the query is plain ASCII without a separator of its own, and is read back as it was given."""
    texts = [
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in pairs
    ]  # fmt: skip
    if any("\ud800" <= character <= "\udfff" for pair in texts for character in "".join(pair)):
        assert "params" in refused(params=pairs)
        return
    query = ask("GET", params=pairs).query.removeprefix("?")
    assert re.fullmatch(r"[A-Za-z0-9_.~%=&-]*", query)
    assert parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)) == texts


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("a=b", "must be a mapping, or pairs of name and value, not str"),
        (b"a=b", "not bytes"),
        (5, "not int"),
        (["ab"], "must be a mapping, or pairs"),
        ([("a",)], "must be a mapping, or pairs"),
        ({1: "a"}, "name 1 must be a str"),
        ({"": "a"}, "name 1 must be a str of at least one character"),
        ({"a": None}, "params['a']: must be a str, int, bool (sent as true or false) or a list of these, not NoneType"),
        ({"a": None}, "leave the name out to send none"),
        ({"a": 1.5}, "not float; write other values as text"),
        ({"a": ["x", None]}, "not NoneType"),
        ({"a": {"b": 1}}, "not dict"),
        ({"a": [["b"]]}, "not list"),
        ({"a": b"x"}, "not bytes"),
        ({"a": 10**100}, "at most 100 digits"),
        ({"a": 10**9999}, "at most 100 digits"),
        ({"a": "\ud800"}, "lone surrogate"),
        ({"a": "x" * 16_384}, "ask for less at a time"),
    ],
)
def test_what_is_no_query_is_refused(params: Any, said: str) -> None:
    """A value without one plain text form is refused by its name, with the remedy."""
    assert said in refused(method="GET", params=params)


# -- the headers


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "Cint-API-Version", "traceparent", "tracestate", "Host", "Content-Length", "Content-Type"),
        *("Accept", "Accept-Encoding", "Cache-Control", "User-Agent", "Cookie", "Connection", "Transfer-Encoding"),
        *("Expect", "Proxy-Authorization", "TE", "Upgrade", "X-HTTP-Method-Override"),
    ],
)
@pytest.mark.parametrize("change", [str, str.lower, str.upper])
def test_headers_of_the_session_are_refused(name: str, change: Any) -> None:
    """What the session sets, and what would change the meaning of a request, is refused in any letter case."""
    message = refused(headers={change(name): SECRET})
    assert message.startswith(f"headers['{change(name)}']: ")


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ("If-Match: x", "must be a mapping"),
        ({"If Match": SECRET}, "name 1 must be the name of a header"),
        ({"If-Match": "x", SECRET + ":": "y"}, "name 2 must be the name of a header"),
        ({"X\r\nHost": SECRET}, "name 1 must be the name of a header"),
        ({"": "x"}, "name 1"),
        ({"X": f"{SECRET}\r\nHost: evil"}, "no control characters"),
        ({"X": f"{SECRET}\t"}, "no control characters"),
        ({"X": f" {SECRET}"}, "no blank at either end"),
        ({"X": "\ud800"}, "no control characters"),
        ({"X": "x" * 9000}, "at most 8192"),
        ({"X": 5}, "must be a str, not int"),
        ({"X": [SECRET]}, "must be a str, not list"),
        ([("If-Match", "1"), ("if-match", "2")], "must be given once"),
        ([(f"X-{number}", "") for number in range(51)], "must be at most 50"),
        ({"Idempotency-Key": "ümlaut"}, "1 to 255 printable ASCII characters"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers: Any, said: str) -> None:
    """The message names the header, and never shows its value."""
    assert said in refused(headers=headers)


def test_the_preconditions_are_the_callers() -> None:
    """`If-Match`, `If-None-Match` and `Idempotency-Key` go out as they are given, after what every request has."""
    own = (("If-Match", 'W/"7"'), ("Idempotency-Key", "k 1"), ("X-Team", "é"))
    assert ask(headers=own).headers == (("Accept-Encoding", "identity"), *own)
    assert ask("PUT", headers={"If-None-Match": "*"}).headers[-1] == ("If-None-Match", "*")
    assert "whole and fresh reply" in refused(method="GET", headers={"if-none-match": '"1"'})
    assert "whole and fresh reply" in refused(method="GET", headers={"Range": "bytes=0-1"})
    assert dict(ask("GET").headers) == {"Accept-Encoding": "identity", "Cache-Control": "no-cache"}


# -- the body

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(10**60), 10**60) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_any_value_of_json_is_sent_as_it_is(value: Any) -> None:
    """The body is read back as the value that was given; `None` alone is no body."""
    asked = ask(json=value)
    if value is None:
        assert asked.body is None
        return
    assert asked.body is not None
    assert json.loads(asked.body) == value
    assert ("Content-Type", "application/json") in asked.headers


def cycle() -> list[Any]:
    """Return a list that holds itself."""
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [1, {"b": {2}}]}, "json: $.a[1].b must be a dict, list, str, int, float, bool or None, not set"),
        ({"a": float("nan")}, "json: $.a must be a finite number, as JSON has no nan"),
        ([float("inf")], "json: $[0] must be a finite number"),
        ({1: "a"}, "json: $ has the name 1: each must be a str"),
        ({"a": {None: 1}}, "json: $.a has the name None"),
        ("\ud800", "lone surrogate"),
        ({"\ud800": 1}, "each must be a str"),
        (b"x", "not bytes"),
        (object(), "not object"),
        (10**100, "at most 100 digits"),
        (cycle(), "at most 100 levels of arrays and objects, and none that holds itself"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(value: Any, said: str) -> None:
    """A value that the standard library would change, or refuse in the middle of a call, is refused by its place."""
    assert said in refused(json=value)


def test_a_get_has_no_body() -> None:
    """A body of a GET has no meaning: it is refused, with the remedy."""
    assert refused(method="GET", json={}) == "json: must be left out of a GET, which has no body: use params="


def test_a_body_has_a_bound() -> None:
    """A body larger than the largest reply is not sent."""
    assert "must have at most 33554432 bytes" in refused(json="x" * (32 * 1024 * 1024))

"""Whatever a server writes into headers and bodies: a value or an error of ours, and no more work than it is worth."""

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, Update
from fielding_async.core.dates import parse_timestamp, to_text
from fielding_async.core.errors import APIError, FieldingError, ProtocolError
from fielding_async.core.ids import is_plain_id
from fielding_async.core.wire.bodies import (
    decode_batch_result,
    decode_draft_result,
    decode_error,
    decode_run,
    decode_run_list,
)
from fielding_async.core.wire.operations import OPERATIONS
from fielding_async.core.wire.replies import (
    Accepted,
    Failed,
    Lost,
    NotSent,
    Response,
    Throttled,
    created_job_id,
    read,
    read_etag,
    reply_delay,
    run_after_write,
)
from fielding_async.core.wire.requests import Request, action_request, request
from fielding_async.core.wire.response_headers import job_id_from_location, retry_after_seconds, sendable_etag
from fielding_async.core.wire.trace_headers import parse_traceparent, traceparent
from tests.tools.sessions import END, REF, run_value

pytestmark = [pytest.mark.slow, pytest.mark.once]

quick = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
IDS = {
    "account_id": 101,
    "project_id": REF.project_id,
    "target_group_id": REF.target_group_id,
    "fielding_run_id": "run",
    "job_id": "job",
}
MILLION = 1_000_000

# any text, and what aiohttp makes of bytes that are not UTF-8
TEXT = st.text(st.characters(), max_size=60) | st.binary(max_size=60).map(
    lambda raw: raw.decode("utf-8", "surrogateescape")
)
NEAR_DATE = st.from_regex(
    r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9]{1,3}(:[0-9]{1,3}){0,3} ?[-+A-Z0-9]{0,6}"
)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
ERROR_LIKE = st.fixed_dictionaries(
    {},
    optional={
        "id": LEAF,
        "object": LEAF,
        "detail": LEAF,
        "details": LEAF,
        "invalid_params": JSON | st.lists(st.fixed_dictionaries({"name": LEAF, "reason": LEAF}), max_size=4),
    },
)
BODY = st.binary(max_size=200) | (JSON | ERROR_LIKE).map(
    lambda value: json.dumps(value).encode("utf-8", "surrogatepass")
)
GOOD = st.fixed_dictionaries(
    {
        "id": st.text(max_size=9),
        "start_fielding_at": st.sampled_from(["2030-01-01T00:00:00Z", "2030-01-01T00:00:00.123456789+23:59"]),
        "end_fielding_at": st.sampled_from(["2031-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]),
    }
).map(lambda value: json.dumps(value).encode())
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["ETag", "etag", "Retry-After", "Date", "Location", "Content-Type", "traceparent"]),
        TEXT | NEAR_DATE,
    ),
    max_size=5,
).map(CIMultiDict)
ATTEMPTED = (
    st.builds(Response, st.integers(0, 999) | st.sampled_from([200, 201, 202, 204, 412, 422, 429, 503]), HEADERS, BODY)
    | st.builds(NotSent, TEXT)
    | st.builds(Lost, TEXT, st.none() | st.integers(0, 999), st.booleans())
)
ACTIONS: list[Action] = [LaunchNow(), Pause(), Resume(), Complete(), Relaunch(), Update(end_fielding_at=END)]
ROWS = [pytest.param(request(row, IDS), id=row.name) for row in OPERATIONS]


@contextmanager
def soon(seconds: float = 2.0) -> Generator[None]:
    """What is done inside must not take longer; generous, for what is quadratic takes minutes."""
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds


# -- headers


@quick
@given(value=st.none() | TEXT)
@example('W/"1"')
@example("*")
@example('"\x00"')
@example('W/"\udce9"')
def test_an_etag_that_is_sendable_goes_out_as_it_came(value: str | None) -> None:
    """An ETag is taken only if it is one line of UTF-8 that a header can carry back byte for byte."""
    if not sendable_etag(value):
        return
    assert value
    raw = value.encode("utf-8")
    assert raw.strip() == raw
    assert raw != b"*"
    assert not set(raw) & {*range(32), 127}
    sent = dict(action_request(REF, Pause(), run_value(etag=value)).headers)
    assert sent["If-Match"] == value


@quick
@given(value=st.none() | TEXT | NEAR_DATE | st.decimals().map(str), date=st.none() | TEXT | NEAR_DATE)
@example("9" * 18, None)
@example("1e400", None)
@example("Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359")
@example("Mon, 01 Jan 0001 00:00:00 +2359", None)
@example("\u0661", None)
def test_a_retry_after_is_a_positive_time_or_nothing(value: str | None, date: str | None) -> None:
    """Any Retry-After with any Date is a positive, finite number of seconds, or `None`."""
    seconds = retry_after_seconds(value, date, NOW)
    assert seconds is None or 0 < seconds < float("inf")


@quick
@given(value=TEXT | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"))
@example("00-" + "0" * 32 + "-" + "1" * 16 + "-01")
@example("00-" + "\u0661" * 32 + "-" + "1" * 16 + "-01")
def test_a_traceparent_is_valid_or_nothing(value: str) -> None:
    """Any traceparent is one of ours to continue, or `None`; what was read can be written and read again."""
    context = parse_traceparent(value)
    if context is not None:
        assert parse_traceparent(traceparent(context.trace_id, context.span_id, context.flags)) == context
        assert int(context.trace_id, 16)
        assert int(context.span_id, 16)


@quick
@given(value=TEXT | st.from_regex(r"(https?://[a-z.:@0-9]{0,20})?(/[^/]{0,9}){0,4}/?([?#].{0,9})?"))
@example("http://[::1")
@example("//")
@example("https://user:secret@evil.example/..")
def test_a_location_gives_a_plain_id_or_nothing(value: str) -> None:
    """Of any Location only an id that can stand in our own path is taken, and it is a part of that Location."""
    job_id = job_id_from_location(value)
    if job_id is not None:
        assert is_plain_id(job_id)
        assert job_id in value
    made = Response(201, CIMultiDict(Location=value))
    if job_id is None:
        with pytest.raises(ProtocolError):
            created_job_id(made)
    else:
        assert created_job_id(made) == job_id


# -- bodies


@quick
@given(body=BODY)
@example(b'{"detail": "\\ud800", "object": "\\u001b[2J"}')
@example(b'{"invalid_params": [{"name": "\\u001b[2J", "reason": "\\ud800"}]}')
@example(b"1" * 5000)
@example(b"[" * 100_000)
@example(b"\xef\xbb\xbf{}")
@example(b"\x00{\x00}")
def test_an_error_body_is_always_read(body: bytes) -> None:
    """Any error body is read without an exception, into short texts fit for a terminal."""
    said = decode_error(body)
    for text in (said.object, said.detail, said.error_id):
        assert text is None or (text.isprintable() and 0 < len(text) <= 500)
    for param in said.invalid_params:
        assert f"{param.name}{param.reason}".isprintable()
        assert len(param.name) <= 500
        assert len(param.reason) <= 500


@quick
@given(
    text=TEXT
    | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda moment: moment.isoformat() + "Z")
    | st.from_regex(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,20})?(Z|[+-][0-9]{2}:[0-9]{2})?"
    )
)
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59.999999999-23:59")
@example("2030-01-01T24:00:00Z")
@example("2030-12-31T23:59:60Z")
@example("\u0662030-01-01T00:00:00Z")
def test_a_timestamp_is_a_moment_or_a_value_error(text: str) -> None:
    """Any text is an aware datetime in UTC, or a `ValueError`; what was read can be written and read again."""
    try:
        moment = parse_timestamp(text)
    except ValueError:
        return
    assert moment.utcoffset() == timedelta(0)
    assert moment - parse_timestamp(to_text(moment)) < timedelta(milliseconds=1)


# -- a whole answer


@pytest.mark.parametrize("asked", ROWS)
@settings(quick, max_examples=25)
@given(attempted=ATTEMPTED)
def test_any_attempt_is_an_answer(asked: Request, attempted: Response | NotSent | Lost) -> None:
    """Whatever an attempt comes to is an answer; one that may have changed something is never called harmless."""
    answer = read(asked, attempted, NOW)
    if isinstance(answer, Accepted):
        assert isinstance(attempted, Response)
        assert attempted.status == asked.operation.success
        return
    assert isinstance(answer, Throttled | Failed)
    assert isinstance(answer.error, FieldingError)
    str(answer.error).encode("utf-8", "surrogatepass")
    if isinstance(answer, Throttled):
        assert isinstance(attempted, Response)
        assert attempted.status == 429
        return
    refused = attempted if isinstance(attempted, Response) and 400 <= attempted.status < 500 else None
    is_refused = refused is not None and refused.status != 408
    # something in between may have made the page after the write was applied
    has_page = refused is not None and asked.operation.precondition == "if-match" and decode_error(refused.body).is_page
    assert answer.may_be_applied is not (isinstance(attempted, NotSent) or (is_refused and not has_page))
    if isinstance(attempted, Response) and attempted.status >= 400:
        assert isinstance(answer.error, ProtocolError if has_page and attempted.status in {412, 422} else APIError)


@quick
@given(action=st.sampled_from(ACTIONS), headers=HEADERS, body=GOOD | BODY)
def test_an_accepted_write_leaves_a_run(action: Action, headers: CIMultiDict[str], body: bytes) -> None:
    """From any accepted reply the run that the write leaves can be told, with an ETag that can be sent or none."""
    base = run_value()
    asked = action_request(REF, action, base)
    answer = read(asked, Response(asked.operation.success, headers, body), NOW)
    if isinstance(answer, Accepted):
        left = run_after_write(action, base, answer.response)
        assert left.etag == read_etag(answer.response)
        assert left.etag is None or sendable_etag(left.etag)
        assert action.is_there(left)
        assert 0 <= reply_delay(answer.response, NOW) < float("inf")


READERS: list[Callable[[bytes], Any]] = [
    lambda body: decode_run(body, None),
    decode_run_list,
    lambda body: decode_batch_result(body, ()),
    decode_draft_result,
]


@pytest.mark.parametrize("reader", READERS, ids=["run", "list", "batch", "draft"])
@quick
@given(body=BODY)
def test_any_body_is_a_value_or_a_protocol_error(reader: Callable[[bytes], Any], body: bytes) -> None:
    """Any body of a reply is a value, or a `ProtocolError` of bounded length."""
    problem = ""
    try:
        reader(body)
    except ProtocolError as error:
        problem = str(error)
    assert len(problem) < 1000


# -- very long inputs

LONG = [
    "1" * MILLION,
    " " * MILLION,
    "/" * MILLION,
    "a:" * (MILLION // 2),
    "-" * MILLION,
    ":" * MILLION,
    "(" * MILLION,
    '"' * MILLION,
    "Fri, 31 Dec 2030 23:59:59 GMT" + " " * MILLION,
    "00-" + "a" * MILLION,
    "2030-01-01T00:00:00." + "0" * MILLION + "Z",
    "http://" + "a/" * (MILLION // 2),
]


@pytest.mark.parametrize("text", LONG, ids=[text[:12] for text in LONG])
def test_a_very_long_header_is_little_work(text: str) -> None:
    """A header of a megabyte is refused, or read, at once."""
    with soon():
        assert not sendable_etag(text)
        assert retry_after_seconds(text, text, NOW) is None
        assert job_id_from_location(text) is None
        assert parse_traceparent(text) is None
        with pytest.raises(ValueError, match="not a"):
            parse_timestamp(text)


BULKY = {
    "digits": b"1" * MILLION,
    "opening brackets": b"[" * MILLION,
    "opening braces": b'{"a":' * (MILLION // 5),
    "a long detail": json.dumps({"detail": "\x1b" * MILLION}).encode(),
    "many params": json.dumps({"invalid_params": [{"name": "n", "reason": "r"}] * (MILLION // 20)}).encode(),
    "long params": json.dumps({"invalid_params": [{"name": "n" * 9999, "reason": "r" * 9999}] * 50}).encode(),
    "many other params": b'{"invalid_params":[' + b"0," * (MILLION // 2) + b"0]}",
    "zeros": b"\0" * MILLION,
    "blanks": b" " * MILLION,
    "no UTF-8": b"\xff" * MILLION,
}


@pytest.mark.parametrize("body", BULKY.values(), ids=list(BULKY))
def test_a_very_long_body_is_little_work(body: bytes) -> None:
    """A body of a megabyte is read at once, and the error it becomes stays short enough for a log."""
    with soon():
        answer = read(request(OPERATIONS[2], IDS), Response(400, CIMultiDict(), body), NOW)
        assert isinstance(answer, Failed)
        assert len(str(answer.error)) < 20_000
        for reader in READERS:
            with pytest.raises(ProtocolError) as caught:
                reader(body)
            assert len(str(caught.value)) < 1000

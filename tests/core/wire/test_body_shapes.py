"""Decoding: lenient about what is new or absent, strict about types, and never another exception."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fielding_async.core.errors import ProtocolError
from fielding_async.core.wire import bodies

pytestmark = pytest.mark.once

RUN: dict[str, Any] = {
    "id": "run-1",
    "status": "live",
    "version": 5,
    "start_fielding_at": "2030-01-02T09:00:00.000Z",
    "end_fielding_at": "2030-01-31T23:59:59.000Z",
    "last_changed_at": "2030-01-01T23:00:00.000Z",
    "last_changed_by": "b551326b-ac9d-4d32-8823-4f025787dab9",
}
BATCH: dict[str, Any] = {
    "job_id": "job-1",
    "status": "Completed",
    "created_at": "2030-01-01T23:00:00.000Z",
    "created_by": "b551326b-ac9d-4d32-8823-4f025787dab9",
    "updated_target_groups": {"data": [{"target_group_id": "A"}], "has_more": False},
    "failed_target_groups": {
        "data": [{"target_group_id": "B", "failure_reason": {"code": "C", "description": "D"}}],
        "has_more": False,
    },
}
DRAFT: dict[str, Any] = {
    "job_id": "job-1",
    "status": "Failed",
    "created_at": "2030-01-01T23:00:00.000Z",
    "created_by": "b551326b-ac9d-4d32-8823-4f025787dab9",
    "failure_reason": {"code": "C", "description": "D", "reasons": [{"name": "n", "reason": "r", "detail": "d"}]},
    "job_trace_id": "0af7651916cd43dd8448eb211c80319c",
}
LAUNCHED = {"start_fielding_at": "2030-01-02T09:00:00.000Z", "end_fielding_at": "2030-01-31T23:59:59.000Z"}
EXTRA = {"new": {"deep": [1, None, {"x": "y"}]}, "newer": None}

Decoder = Callable[[bytes], Any]
DECODERS: dict[str, tuple[Decoder, dict[str, Any]]] = {
    "run": (lambda body: bodies.decode_run(body, 'W/"5"'), RUN),
    "list": (bodies.decode_run_list, {"data": [RUN], "has_more": False}),
    "id": (bodies.decode_run_id, {"id": "run-1"}),
    "dates": (bodies.decode_launched_dates, LAUNCHED),
    "batch": (lambda body: bodies.decode_batch_result(body, ("A", "B", "Z")), BATCH),
    "draft": (bodies.decode_draft_result, DRAFT),
}
every_decoder = pytest.mark.parametrize("name", DECODERS)


def read(name: str, value: Any) -> Any:
    return DECODERS[name][0](json.dumps(value).encode())


@every_decoder
def test_extra_fields_are_ignored(name: str) -> None:
    """A body with fields that are not known here decodes to the same value as without them."""
    body = DECODERS[name][1]
    assert read(name, body | EXTRA) == read(name, body)


def test_extra_fields_inside_are_ignored() -> None:
    """New fields in the entries of lists and in failure reasons make no difference either."""
    plain = read("batch", BATCH)
    groups = {"data": [{"target_group_id": "A", **EXTRA}], "has_more": False, **EXTRA}
    failed = {"data": [{"target_group_id": "B", "failure_reason": {"code": "C", "description": "D", **EXTRA}, **EXTRA}]}
    assert read("batch", BATCH | {"updated_target_groups": groups, "failed_target_groups": failed}) == plain
    reason = {**DRAFT["failure_reason"], **EXTRA, "reasons": [{"name": "n", "reason": "r", "detail": "d", **EXTRA}]}
    assert read("draft", DRAFT | {"failure_reason": reason}) == read("draft", DRAFT)


@pytest.mark.parametrize("status", ["archived", "LIVE", "", "on hold, müde"])
def test_unknown_run_statuses_are_kept(status: str) -> None:
    """A status this version does not know arrives as it was written."""
    assert read("run", RUN | {"status": status}).status == status


@pytest.mark.parametrize("name", ["batch", "draft"])
@pytest.mark.parametrize("status", ["Queued", "completed", "FAILED", ""])
def test_unknown_job_statuses_are_kept_and_not_an_end(name: str, status: str) -> None:
    """A job status this version does not know is kept, and the job counts as running."""
    job = read(name, DECODERS[name][1] | {"status": status})
    assert (job.status, job.ended) == (status, False)


def test_a_run_may_name_its_parents_or_not() -> None:
    """Account, project and target group are taken where they are sent; null and absent are `None`."""
    named = {"account_id": 101, "project_id": "P", "target_group_id": "T"}
    run = read("run", RUN | named)
    assert (run.account_id, run.project_id, run.target_group_id) == (101, "P", "T")
    for absent in ({}, dict.fromkeys(named)):
        run = read("run", RUN | absent)
        assert (run.account_id, run.project_id, run.target_group_id) == (None, None, None)


def test_a_body_cannot_set_what_is_ours() -> None:
    """Fields of the body that are named like our own bookkeeping do not get into it."""
    run = read("run", RUN | {"etag": "forged", "start_text": "forged", "end_text": 7})
    assert (run.etag, run.start_text, run.end_text) == ('W/"5"', None, None)
    dates = read("dates", LAUNCHED | {"start_text": "forged"})
    assert dates.start_text is None


@pytest.mark.parametrize("field", ["created_fielding_run_id", "failure_reason", "job_trace_id"])
def test_a_draft_job_may_leave_out_or_null_what_it_lacks(field: str) -> None:
    """Optional fields of a draft job may be null or absent, with the same meaning."""
    absent = {key: value for key, value in DRAFT.items() if key != field}
    assert read("draft", absent) == read("draft", absent | {field: None})


@pytest.mark.parametrize("reasons", [{}, {"reasons": None}, {"reasons": []}])
def test_a_failure_may_have_no_reasons(reasons: dict[str, Any]) -> None:
    """`reasons` may be absent, null or empty; a reason may lack any of its fields."""
    failure = {"code": "C", "description": "D"}
    assert read("draft", DRAFT | {"failure_reason": failure | reasons}).failure.reasons == ()
    (reason,) = read("draft", DRAFT | {"failure_reason": failure | {"reasons": [{"name": None}]}}).failure.reasons
    assert (reason.name, reason.reason, reason.detail) == (None, None, None)


@pytest.mark.parametrize("nothing", [{"data": [], "has_more": False}, {"data": []}, {"data": None}, {}, None])
def test_a_bulk_job_may_have_empty_lists(nothing: Any) -> None:
    """A `Completed` job whose lists are empty, null or absent decodes, and all that was asked for is missing."""
    job = read("batch", BATCH | {"updated_target_groups": nothing, "failed_target_groups": nothing})
    assert (job.updated, job.failed, job.missing) == ((), (), ("A", "B", "Z"))
    bare = {key: value for key, value in BATCH.items() if not key.endswith("_target_groups")}
    assert read("batch", bare) == job


def test_nothing_is_missing_while_a_job_runs() -> None:
    """Only a job that has ended can leave target groups out."""
    assert read("batch", BATCH | {"status": "Processing"}).missing == ()
    assert read("batch", BATCH).missing == ("Z",)


@pytest.mark.parametrize("reason", [None, {}, {"code": None, "description": None}])
def test_a_failed_target_group_may_have_no_reason(reason: Any) -> None:
    """A failed target group without a usable reason is still a failed one."""
    failed = {"data": [{"target_group_id": "B", "failure_reason": reason}, {"target_group_id": "C"}]}
    job = read("batch", BATCH | {"failed_target_groups": failed})
    assert [(group.target_group_id, group.code, group.description) for group in job.failed] == [
        ("B", None, None),
        ("C", None, None),
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-02T09:00:00Z", datetime(2030, 1, 2, 9, tzinfo=UTC)),
        ("2030-01-02t09:00:00.5z", datetime(2030, 1, 2, 9, 0, 0, 500_000, tzinfo=UTC)),
        ("2030-01-02T09:00:00.123456789Z", datetime(2030, 1, 2, 9, 0, 0, 123_456, tzinfo=UTC)),
        ("2030-01-02T10:30:00.000+01:30", datetime(2030, 1, 2, 9, tzinfo=UTC)),
    ],
)
def test_timestamps_of_other_precision_are_read_and_kept(text: str, moment: datetime) -> None:
    """Any RFC 3339 timestamp is read; the text is kept as it came."""
    run = read("run", RUN | {"start_fielding_at": text})
    assert (run.start_fielding_at, run.start_text) == (moment, text)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("run", {"id": 5}, "id"),
    ("run", {"id": None}, "id"),
    ("run", {"status": None}, "status"),
    ("run", {"status": ["live"]}, "status"),
    ("run", {"version": "5"}, "version"),
    ("run", {"version": True}, "version"),
    ("run", {"version": 5.0}, "version"),
    ("run", {"version": None}, "version"),
    ("run", {"start_fielding_at": 1_732_526_080}, "start_fielding_at"),
    ("run", {"start_fielding_at": None}, "start_fielding_at"),
    ("run", {"end_fielding_at": "2030-13-01T00:00:00.000Z"}, "end_fielding_at"),
    ("run", {"end_fielding_at": "2030-01-31"}, "end_fielding_at"),
    ("run", {"end_fielding_at": "2030-01-31T23:59:59"}, "end_fielding_at"),
    ("list", {"data": None}, "data"),
    ("list", {"data": {}}, "data"),
    ("list", {"data": "live"}, "data"),
    ("list", {"data": [None]}, "data"),
    ("list", {"data": [RUN | {"version": "5"}]}, "version"),
    ("id", {"id": 5}, "id"),
    ("dates", {"start_fielding_at": 0}, "start_fielding_at"),
    ("dates", {"end_fielding_at": ""}, "end_fielding_at"),
    ("batch", {"job_id": 1}, "job_id"),
    ("batch", {"status": None}, "status"),
    ("batch", {"updated_target_groups": []}, "updated_target_groups"),
    ("batch", {"updated_target_groups": {"data": "A"}}, "updated_target_groups"),
    ("batch", {"updated_target_groups": {"data": ["A"]}}, "updated_target_groups"),
    ("batch", {"updated_target_groups": {"data": [{"target_group_id": 1}]}}, "target_group_id"),
    ("batch", {"updated_target_groups": {"data": [{}]}}, "target_group_id"),
    ("batch", {"failed_target_groups": {"data": [{"target_group_id": "A", "failure_reason": "x"}]}}, "failure_reason"),
    ("draft", {"failure_reason": "x"}, "failure_reason"),
    ("draft", {"failure_reason": {"code": "C"}}, "description"),
    ("draft", {"failure_reason": {"code": 1, "description": "D"}}, "code"),
    ("draft", {"failure_reason": {"code": "C", "description": "D", "reasons": "x"}}, "reasons"),
]


LEFT_OUT: list[tuple[str, dict[str, Any], str]] = [
    ("run", {"last_changed_at": "0001-01-01T00:00:00+23:59"}, "$.last_changed_at"),
    ("run", {"last_changed_by": {}}, "$.last_changed_by"),
    ("run", {"account_id": "101"}, "$.account_id"),
    ("run", {"account_id": True}, "$.account_id"),
    ("run", {"project_id": 7}, "$.project_id"),
    ("run", {"target_group_id": ["T"]}, "$.target_group_id"),
    ("list", {"data": [RUN | {"last_changed_at": 5}, RUN]}, "$.last_changed_at"),
    ("batch", {"created_at": "yesterday"}, "$.created_at"),
    ("batch", {"created_by": 7}, "$.created_by"),
    (
        "batch",
        {"failed_target_groups": {"data": [{"target_group_id": "A", "failure_reason": {"code": 5}}]}},
        "$.failed_target_groups.data[].failure_reason.code",
    ),
    ("draft", {"created_fielding_run_id": 5}, "$.created_fielding_run_id"),
    ("draft", {"job_trace_id": 5}, "$.job_trace_id"),
    ("draft", {"failure_reason": {"code": "C", "description": "D", "reasons": [{"name": 1}]}}, "$.reasons[].name"),
]


@pytest.mark.parametrize(("name", "change", "path"), LEFT_OUT, ids=lambda part: str(part)[:60])
def test_what_no_judgement_needs_is_left_out_and_reported(name: str, change: dict[str, Any], path: str) -> None:
    """An informative field of another type is `None`, and its path is reported."""
    decoders: dict[str, Callable[[bytes, Callable[[str], None]], Any]] = {
        "run": lambda body, report: bodies.decode_run(body, 'W/"5"', None, report),
        "list": bodies.decode_run_list,
        "batch": lambda body, report: bodies.decode_batch_result(body, ("A",), report),
        "draft": bodies.decode_draft_result,
    }
    reported: list[str] = []
    value = decoders[name](json.dumps(DECODERS[name][1] | change).encode(), reported.append)
    assert reported == [path]
    field = path.rsplit(".", maxsplit=1)[-1]
    if path == f"$.{field}" and name != "list":
        assert getattr(value, field) is None


def test_a_lone_surrogate_becomes_a_character_that_can_be_written() -> None:
    """JSON can hold half of a pair of surrogates, which no encoding can write: a program that prints it would raise."""
    text = json.dumps(RUN).replace('"live"', '"on\\ud800hold \\ud83d\\ude00"')
    assert DECODERS["run"][0](text.encode()).status == "on\ufffdhold \N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-12-31T23:59:60Z", datetime(2031, 1, 1, tzinfo=UTC)),
        ("2030-12-31T23:59:60.250Z", datetime(2031, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
        ("2031-01-01T00:59:60+01:00", datetime(2031, 1, 1, tzinfo=UTC)),
        ("2030-12-31T24:00:00Z", datetime(2031, 1, 1, tzinfo=UTC)),
        ("2030-12-31T24:00:00.000Z", datetime(2031, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_leap_second_and_the_end_of_a_day_are_read(text: str, moment: datetime) -> None:
    """`23:59:60` and `24:00:00` are read on every Python, and are sent back as they came."""
    run = read("run", RUN | {"end_fielding_at": text})
    assert (run.end_fielding_at, run.end_text) == (moment, text)


@pytest.mark.parametrize("clock", ["24:00:01", "24:00:00.001", "23:58:60", "23:59:61"])
def test_other_times_beyond_the_day_are_not_read(clock: str) -> None:
    """No other second after the last one of a minute, or of a day, is a time."""
    with pytest.raises(ProtocolError, match="end_fielding_at"):
        read("run", RUN | {"end_fielding_at": f"2030-12-31T{clock}Z"})


@pytest.mark.parametrize(("name", "change", "field"), WRONG, ids=lambda part: str(part)[:60])
def test_wrong_types_name_the_field(name: str, change: dict[str, Any], field: str) -> None:
    """A value of the wrong type is a `ProtocolError` that names the field, and nothing is coerced."""
    with pytest.raises(ProtocolError, match=rf"\b{field}\b"):
        read(name, DECODERS[name][1] | change)


@every_decoder
def test_absent_required_fields_are_named(name: str) -> None:
    """Each required field that is left out is a `ProtocolError` that names it."""
    body = DECODERS[name][1]
    optional = {"has_more", "updated_target_groups", "failed_target_groups", "failure_reason", "job_trace_id"}
    optional |= {"last_changed_at", "last_changed_by", "created_at", "created_by", "created_fielding_run_id"}
    for field in set(body) - optional:
        with pytest.raises(ProtocolError, match=rf"\b{field}\b"):
            read(name, {key: value for key, value in body.items() if key != field})


BODIES = [
    b"",
    b" ",
    b"\xff\xfe",
    b"\x00",
    b"null",
    b"[]",
    b'"text"',
    b"5",
    b"NaN",
    b"{",
    b"{}garbage",
    b"<html></html>",
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"version":' + b"9" * 10_000 + b"}",
    b'{"version":1e999}',
    b'{"version":NaN}',
    b'{"id":"\\ud800"}',
]


@every_decoder
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
def test_what_is_no_answer_is_a_protocol_error(name: str, body: bytes) -> None:
    """Truncated, oversized, deeply nested or foreign bodies are `ProtocolError`, or decode where they fit."""
    try:
        DECODERS[name][0](body)
    except ProtocolError as error:
        str(error).encode("utf-8")
    else:
        assert (name, body) == ("id", b'{"id":"\\ud800"}')


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
def test_any_error_body_is_read(body: bytes) -> None:
    """The body of an error is read as far as it goes, whatever it is; what it says is printable."""
    said = bodies.decode_error(body)
    for text in (said.object, said.detail, said.error_id):
        assert text is None or text.isprintable()


@pytest.mark.parametrize("kind", [str, bytes, int, list, dict, bool, type(None)])
def test_error_fields_of_other_types_say_nothing(kind: type) -> None:
    """Fields of an error body that are not texts, and entries that are not name and reason, are passed over."""
    value = {bytes: "x", type(None): None}.get(kind, kind())
    body = {"object": value, "detail": value, "id": value, "invalid_params": [value, {"name": value, "reason": 1}, "x"]}
    assert bodies.decode_error(json.dumps(body).encode()).invalid_params == ()
    assert bodies.decode_error(json.dumps({"invalid_params": value}).encode()).invalid_params == ()


SURROGATES = st.text(alphabet=st.characters(codec=None, exclude_categories=()))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**30, max_value=10**40),
    st.floats(),
    SURROGATES,
    st.sampled_from(["live", "Completed", "Failed", "2030-01-01T00:00:00.000Z", "9999-12-31T23:59:60Z", "A"]),
)
FIELDS = st.sampled_from(sorted({*RUN, *BATCH, *DRAFT, *LAUNCHED, "data", "code", "description", "reasons", "name"}))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(FIELDS | SURROGATES, inner, max_size=6)),
    max_leaves=20,
)


def decoded(name: str, body: bytes) -> None:
    try:
        DECODERS[name][0](body)
    except ProtocolError as error:
        repr(error).encode()
        str(error).encode()


@pytest.mark.slow
@every_decoder
@given(value=VALUES, ascii_only=st.booleans())
def test_any_json_is_a_value_or_a_protocol_error(name: str, value: Any, ascii_only: bool) -> None:
    """Arbitrary JSON, lone surrogates and NaN included, decodes or is a `ProtocolError`."""
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    decoded(name, body)
    bodies.decode_error(body)


@pytest.mark.slow
@every_decoder
@given(body=st.binary())
@example(body=b'{"id":"a","id":5}')
@example(body=b"\xed\xa0\x80")
def test_any_bytes_are_a_value_or_a_protocol_error(name: str, body: bytes) -> None:
    """Arbitrary bytes decode or are a `ProtocolError`."""
    decoded(name, body)
    bodies.decode_error(body)


@pytest.mark.slow
@every_decoder
@given(data=st.data())
def test_one_field_gone_wrong_is_a_value_or_a_protocol_error(name: str, data: st.DataObject) -> None:
    """A good body with one field, at any depth, replaced by anything decodes or is a `ProtocolError`."""
    body: Any = json.loads(json.dumps(DECODERS[name][1]))
    place = body
    while True:
        key: Any = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(VALUES)
    decoded(name, json.dumps(body).encode())


@pytest.mark.slow
@every_decoder
@given(data=st.data())
def test_duplicate_keys_are_a_value_or_a_protocol_error(name: str, data: st.DataObject) -> None:
    """A body that names a field twice decodes by one of them, or is a `ProtocolError`."""
    body = DECODERS[name][1]
    key = data.draw(st.sampled_from(sorted(body)))
    second = json.dumps({key: data.draw(VALUES)})[1:]
    decoded(name, f"{json.dumps(body)[:-1]}, {second}".encode())

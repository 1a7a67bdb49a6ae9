"""Redaction: what counts as a secret, which parts and forms of it are taken out, and what is left as it is."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fielding_async.core.models import InvalidParam
from fielding_async.core.redaction import LEFT_OUT, CleanHeaders, Redactor, Secret, SecretBytes, Secrets
from fielding_async.core.wire.clean_replies import clean_reply
from fielding_async.core.wire.replies import Lost, NotSent, Response, created_job_id, read_etag

SECRET = "kR7-xQ2_mZ9.tW4~pL8+vN3/cB6=hJ5"
REDACTOR = Redactor([SECRET])


@given(st.text(max_size=80), st.integers(0, len(SECRET) - 12), st.integers(12, len(SECRET)), st.text(max_size=20))
def test_every_part_of_twelve_characters_is_taken_out(before: str, start: int, size: int, after: str) -> None:
    """A part of a secret of twelve characters or more is taken out of a text, wherever it stands."""
    part = SECRET[start : start + size]
    assert REDACTOR.text(f"{before}|{part}|{after}") == f"{before}|***|{after}"


@pytest.mark.parametrize("offset", range(30))
@pytest.mark.parametrize("size", [11, 12, 13])
def test_a_part_is_found_at_every_position(offset: int, size: int) -> None:
    """Twelve characters are found at every position, eleven at none."""
    for start in range(len(SECRET) - size):
        text = "|" * offset + SECRET[start : start + size] + "|||||"
        assert ("***" in REDACTOR.text(text)) is (size >= 12)


@given(st.text(max_size=200))
def test_a_text_without_secrets_is_returned_as_it_is(text: str) -> None:
    """A text, a value or a body without secrets is returned itself."""
    assert REDACTOR.text(text) is text
    value = (text, InvalidParam(text, text))
    assert REDACTOR.value(value) is value
    body = json.dumps({text: [text, 12345678, None]}).encode()
    assert REDACTOR.body(body) is body


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.upper(),
        SECRET.lower(),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        "".join(f"%{ord(character):02x}" for character in SECRET),
        json.dumps(SECRET).replace("/", "\\/")[1:-1],
    ],
)
def test_each_form_of_a_secret_is_taken_out(form: str) -> None:
    """Letter case and percent-encoding do not hide a secret, whole or cut."""
    for cut in (len(form), len(form) - 1):
        clean = REDACTOR.text(f"before {form[:cut]}")
        assert clean.startswith("before ***")
        assert len(clean) < 30


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("is_escaped", [True, False])
def test_a_body_of_json_is_clean_after_it_is_decoded(encoding: str, is_escaped: bool) -> None:
    """Escapes and encodings of JSON do not hide a secret in a value or a key; all else stays as it was."""
    written = "".join(f"\\u{ord(character):04x}" for character in SECRET) if is_escaped else SECRET
    body = f'{{"a": ["x{written}y", {{"{written}": 1.5}}], "b": true, "c": null}}'.encode(encoding)
    assert json.loads(REDACTOR.body(body)) == {"a": ["x***y", {"***": 1.5}], "b": True, "c": None}


def test_numbers_and_deep_bodies_are_looked_through() -> None:
    """A secret of digits is taken out where it is a number; a body that is nested too deeply is left out."""
    assert json.loads(Redactor(["123456789012"]).body(b'{"id":123456789012,"n":1}')) == {"id": "***", "n": 1}
    deep = b"[" * 100_000 + b'"\\u0061"' + b"]" * 100_000
    assert REDACTOR.body(deep) == b'"***"'


def test_short_texts_are_no_secrets() -> None:
    """A text of fewer than eight characters is no secret; one of eight to eleven is taken out as a whole."""
    assert Redactor(["token"]).text("a token") == "a token"
    assert Redactor(["password"]).text("the PassWord") == "the ***"
    assert Redactor(["password"]).text("the passwor") == "the passwor"


def test_a_long_text_that_shows_a_secret_is_left_out() -> None:
    """A text of more than 64 KiB that shows a secret is replaced as a whole: the search in it would take too long."""
    assert REDACTOR.text("." * 70_000 + SECRET) == "***"


def test_a_header_that_shows_a_secret_cannot_be_used() -> None:
    """A header with a secret is left out: it is no ETag and no job id, and the error says why."""
    headers = {"ETag": f'"{SECRET}"', "Location": f"/jobs/{SECRET}", "Date": "today"}
    response = clean_reply(Response(201, headers), REDACTOR)
    assert isinstance(response, Response)
    assert read_etag(response) is None
    with pytest.raises(Exception, match="shows a secret"):
        created_job_id(response)
    assert dict(response.headers) == {"ETag": LEFT_OUT, "Location": LEFT_OUT, "Date": "today"}
    assert response.headers.get("Nothing", 5) == 5
    assert SECRET not in repr(response) + repr(CleanHeaders(headers, REDACTOR))


def test_reasons_of_failures_are_cleaned_and_keep_their_meaning() -> None:
    """The reason of an attempt without a response is cleaned; what it means stays."""
    assert clean_reply(Lost(SECRET, timed_out=True, unreadable=True), REDACTOR) == Lost("***", True, True)
    assert clean_reply(NotSent(SECRET, is_final=True), REDACTOR) == NotSent("***", True)
    fine = NotSent("refused")
    assert clean_reply(fine, REDACTOR) is fine


def test_the_latest_tokens_are_secrets() -> None:
    """The three latest tokens are secrets, and what is kept stays one."""
    secrets = Secrets()
    secrets.keep("kept-for-good")
    tokens = [f"{number}{number}-token-{number}{number}" for number in range(5)]
    for token in tokens:
        secrets.renewed(token)
    shown = [token for token in ["kept-for-good", *tokens] if not secrets.redactor.shows(token)]
    assert shown == tokens[:2]


def test_a_secret_hides_itself_and_its_parts() -> None:
    """The repr of a secret and of a part of it shows nothing; its text and its bytes are as they were."""
    assert repr(Secret("abc")) == repr(Secret("abc")[:2]) == "'***'"
    assert repr(SecretBytes(b"abc")) == repr(SecretBytes(b"abc")[1:]) == "b'***'"
    assert (str(Secret("abc")), bytes(SecretBytes(b"abc")), SecretBytes(b"abc")[0]) == ("abc", b"abc", 97)
    assert Secret.of(5) == 5

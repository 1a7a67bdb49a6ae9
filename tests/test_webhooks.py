"""Webhook signatures: the published vector, and everything that must be refused."""

import hmac
import pickle
import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fielding_async.core.errors import ConfigurationError, FieldingError
from fielding_async.webhooks import WebhookVerificationError, verify

# the vendor's published example
BODY = b'{"foo":"bar"}'
TIME = 1_732_526_080
SECRET = "FP7UPZpATKBcYJj4va95PYud+a3gCidRERiLO+9MoFE="
V1 = "6532d4777122acc32cd388763fc0c0ba8732698d09cf99eea086e5a86f8d3ebe"
HEADER = f"t={TIME},v1={V1}"
WRONG = "0" * 64


def sign(body: bytes, at: int | str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, sha256).hexdigest()


def test_the_published_vector_is_verified() -> None:
    """The vendor's example passes, and the answer is the time of signing."""
    assert verify(BODY, HEADER, SECRET, now=TIME) == datetime(2024, 11, 25, 9, 14, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "header", "secret"),
    [
        (BODY + b" ", HEADER, SECRET),
        (b"", HEADER, SECRET),
        (BODY, f"t={TIME + 1},v1={V1}", SECRET),
        (BODY, f"t=0{TIME},v1={V1}", SECRET),
        (BODY, HEADER, SECRET[:-1]),
        (BODY, HEADER, SECRET + "\n"),
        (BODY, f"t={TIME},v1={WRONG}", SECRET),
        (BODY, f"t={TIME},v1={V1[:-1]}f", SECRET),
    ],
)
def test_what_was_tampered_with_is_refused(body: bytes, header: str, secret: str) -> None:
    """Another body, time, secret or signature does not match, and the error says so."""
    with pytest.raises(WebhookVerificationError, match="no v1 signature matches"):
        verify(body, header, secret, now=TIME)


def test_the_secret_is_not_base64_decoded() -> None:
    """Two secrets that decode to the same bytes are two secrets."""
    assert verify(BODY, f"t={TIME},v1={sign(BODY, TIME, 'YQ==')}", "YQ==", now=TIME)
    with pytest.raises(WebhookVerificationError):
        verify(BODY, f"t={TIME},v1={sign(BODY, TIME, 'YQ==')}", "YR==", now=TIME)


@pytest.mark.parametrize(
    "header",
    [
        f"t={TIME},v1={WRONG},v1={V1}",
        f"t={TIME},v1={V1},v1={WRONG}",
        f"v1={V1},t={TIME}",
        f"v1=short,v1={V1},t={TIME}",
        f"t={TIME},v0={WRONG},v1={V1},v2=next,alg=x=y,,junk",
        f" t={TIME} ,\tv1={V1}\t",
        f"t={TIME},v1={V1.upper()}",
        f"T=1,V1=2,t={TIME},v1={V1}",
    ],
)
def test_one_good_signature_is_enough(header: str) -> None:
    """Any v1 may match, in any order and case of its digits; other schemes and blanks around items are ignored."""
    assert verify(BODY, header, SECRET, now=TIME).timestamp() == TIME


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "missing or empty"),
        (None, "missing or empty"),
        (f"v1={V1}", "no timestamp"),
        (f"t ={TIME},v1={V1}", "no timestamp"),
        (f"t={TIME},t={TIME},v1={V1}", "more than one timestamp"),
        (f"t={TIME},v1={V1},t=1", "more than one timestamp"),
        (f"t=,v1={V1}", "not a whole number"),
        (f"t=1e9,v1={V1}", "not a whole number"),
        (f"t=-{TIME},v1={V1}", "not a whole number"),
        (f"t=+{TIME},v1={V1}", "not a whole number"),
        (f"t= {TIME},v1={V1}", "not a whole number"),
        (f"t={TIME}\n,v1={V1}", "not a whole number"),
        (f"t=1_732_526_080,v1={V1}", "not a whole number"),
        (f"t=١٧٣٢٥٢٦٠٨٠,v1={V1}", "not a whole number"),
        (f"t={'9' * 20},v1={V1}", "out of range"),
        (f"t={'9' * 3000},v1={V1}", "out of range"),
        (f"t={'9' * 5000},v1={V1}", "longer than 4096 characters"),
        (f"t={TIME},v1={V1}" + ",v1=" * 500_000, "longer than 4096 characters"),
        (f"t={TIME},v1={V1}" + "," * (4097 - len(HEADER)), "longer than 4096 characters"),
        (f"t={TIME},v1={V1}" + ",v1=" * 16, "more than 16 v1 signatures"),
        (f"t={TIME}" + f",v1={V1}" * 17, "more than 16 v1 signatures"),
        (f"t={'0' * 20}{TIME},v1={V1}", "out of range"),
        (f"t={TIME}", "no v1 signature$"),
        (f"t={TIME},v0={V1}", "no v1 signature$"),
        (f"t={TIME},v1=", "64 hexadecimal digits"),
        (f"t={TIME},v1={V1[:-1]}", "64 hexadecimal digits"),
        (f"t={TIME},v1={V1}0", "64 hexadecimal digits"),
        (f"t={TIME},v1= {V1[1:]}", "64 hexadecimal digits"),
        (f"t={TIME},v1=ü{V1[1:]}", "64 hexadecimal digits"),
        (f"t={TIME},v1=\udcff{V1[1:]}", "64 hexadecimal digits"),
        (f"t={TIME};v1={V1}", "not a whole number"),
    ],
)
def test_the_error_names_the_rule(header: Any, message: str) -> None:
    """A malformed header is refused, and the message says what is wrong with it."""
    with pytest.raises(WebhookVerificationError, match=message):
        verify(BODY, header, SECRET, now=TIME)


def test_a_header_of_the_greatest_size_is_read() -> None:
    """4096 characters and sixteen v1 signatures are accepted, whichever of them matches."""
    header = f"t={TIME}" + f",v1={WRONG}" * 15 + f",v1={V1}"
    assert verify(BODY, header + "," * (4096 - len(header)), SECRET, now=TIME)


@pytest.mark.parametrize("header", [f"t={TIME}" + f",v1={V1}" * 500_000, f"t={TIME}" + f",v1={V1}" * 17])
def test_an_oversized_header_costs_nothing(header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the bounds is refused before the body is hashed or any signature compared."""
    calls: list[str] = []
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: calls.append("compare"))
    monkeypatch.setattr(hmac, "new", lambda *_: calls.append("hash"))
    with pytest.raises(WebhookVerificationError, match=r"more than|longer than"):
        verify(BODY, header, SECRET, now=TIME)
    assert calls == []


@pytest.mark.parametrize("offset", [-300, -0.5, 0, 0.5, 300])
def test_a_time_within_the_tolerance_passes(offset: float) -> None:
    """The tolerance counts in both directions, its end included."""
    assert verify(BODY, HEADER, SECRET, now=TIME + offset)


@pytest.mark.parametrize(
    ("tolerance", "offset", "message"),
    [
        (300, 301, "signed 301 seconds ago, more than the 300 allowed"),
        (300, -301, "signed 301 seconds in the future, more than the 300 allowed"),
        (0, 1, "ago, more than the 0 allowed"),
        (0.5, -1, "in the future, more than the 0.5 allowed"),
    ],
)
def test_a_time_beyond_the_tolerance_is_refused(tolerance: float, offset: float, message: str) -> None:
    """Deliveries signed too long ago, or in the future, are refused although their signature is right."""
    with pytest.raises(WebhookVerificationError, match=message):
        verify(BODY, HEADER, SECRET, tolerance=tolerance, now=TIME + offset)


def test_now_is_the_wall_clock() -> None:
    """Left out, `now` is the time of day: what was signed this second passes, the published example is too old."""
    at = int(time.time())
    assert verify(BODY, f"t={at},v1={sign(BODY, at)}", SECRET)
    with pytest.raises(WebhookVerificationError, match="ago"):
        verify(BODY, HEADER, SECRET)


@pytest.mark.parametrize(
    "body", [bytearray(BODY), memoryview(BODY), memoryview(b"x".join(bytes([c]) for c in BODY))[::2]]
)
def test_a_body_may_be_any_bytes(body: Any) -> None:
    """Byte arrays and views, contiguous or not, are verified as bytes are."""
    assert verify(body, HEADER, SECRET, now=TIME)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"body": BODY.decode()}, "body: must be bytes, not str"),
        ({"body": None}, "body: must be bytes"),
        ({"body": {"foo": "bar"}}, "body: must be bytes"),
        ({"header": b"t=1"}, "header: must be the text"),
        ({"secret": ""}, "secret: must not be empty"),
        ({"secret": SECRET.encode()}, "secret: must be a str"),
        ({"secret": None}, "secret: must be a str"),
        ({"secret": "\ud800"}, "secret: must hold"),
        ({"tolerance": -1}, "tolerance=-1"),
        ({"tolerance": float("nan")}, "tolerance: must be a finite"),
        ({"tolerance": float("inf")}, "tolerance: must be a finite"),
        ({"tolerance": 10**400}, "tolerance: must be a finite"),
        ({"tolerance": True}, "tolerance: must be a number"),
        ({"tolerance": "300"}, "tolerance: must be a number"),
        ({"tolerance": None}, "tolerance: must be a number"),
        ({"now": float("nan")}, "now: must be a finite"),
        ({"now": datetime.now(UTC)}, "now: must be a number"),
    ],
)
def test_bad_arguments_are_the_callers_fault(arguments: dict[str, Any], message: str) -> None:
    """Wrong types and impossible numbers raise `ConfigurationError`, whatever the delivery holds."""
    usual: dict[str, Any] = {"body": BODY, "header": HEADER, "secret": SECRET, "now": TIME}
    with pytest.raises(ConfigurationError, match=message):
        verify(**(usual | arguments))


def test_errors_are_plain_and_keep_secrets() -> None:
    """The error pickles, is a `FieldingError` and a `ValueError`, and shows neither secret nor signature."""
    with pytest.raises(WebhookVerificationError) as caught:
        verify(BODY, f"t={TIME},v1={WRONG}", SECRET, now=TIME)
    error = caught.value
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (WebhookVerificationError, str(error))
    assert isinstance(error, FieldingError)
    assert isinstance(error, ValueError)
    assert (error.__cause__, error.__context__) == (None, None)
    told = f"{error!r} {error} {vars(error)}"
    assert not [secret for secret in (SECRET, V1, WRONG) if secret in told]


def test_a_bad_secret_is_not_shown() -> None:
    """Neither the error for an unusable secret nor its context quotes it."""
    with pytest.raises(ConfigurationError) as caught:
        verify(BODY, HEADER, "hush\ud800", now=TIME)
    assert "hush" not in str(caught.value)
    assert caught.value.__context__ is None


ITEMS = st.one_of(
    st.text(max_size=12),
    st.builds("t={}".format, st.one_of(st.integers(), st.text(max_size=8))),
    st.builds("v1={}".format, st.one_of(st.just(V1), st.text(alphabet="0123456789abcdefABCDEF", max_size=70))),
)
HEADERS = st.one_of(st.text(), st.lists(ITEMS, max_size=5).map(",".join))


@given(body=st.one_of(st.just(BODY), st.binary()), header=HEADERS, secret=st.text())
def test_nothing_but_our_own_errors_comes_out(body: bytes, header: str, secret: str) -> None:
    """Whatever the delivery holds, the answer is a time or a `FieldingError`, and forgeries are never accepted."""
    try:
        signed_at = verify(body, header, secret, now=TIME)
    except FieldingError:
        return
    assert sign(body, int(signed_at.timestamp()), secret) in header.lower()


@given(body=st.binary(), secret=st.text(min_size=1).filter(str.isprintable), at=st.integers(0, 253_402_300_799))
def test_what_is_signed_right_is_accepted(body: bytes, secret: str, at: int) -> None:
    """Any body, secret and time verify when signed with that secret, and not with one byte more."""
    header = f"t={at},v1={sign(body, at, secret)}"
    assert verify(body, header, secret, now=at) == datetime.fromtimestamp(at, UTC)
    with pytest.raises(WebhookVerificationError):
        verify(body + b"!", header, secret, now=at)

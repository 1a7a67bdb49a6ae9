"""Verifies deliveries of the exchange's webhooks: that they come from Cint, and are recent.

Pass the body exactly as it came, before any JSON parsing, and the text of its `Cint-Signature` header:

    from aiohttp import web
    from fielding_async.webhooks import WebhookVerificationError, verify

    async def handler(request: web.Request) -> web.Response:
        try:
            signed_at = verify(await request.read(), request.headers.get("Cint-Signature", ""), secret)
        except WebhookVerificationError:
            return web.Response(status=400)
        return web.Response(text=f"signed at {signed_at}")
"""

import hmac
import re
import time
from datetime import UTC, datetime
from hashlib import sha256
from math import ceil, isfinite
from typing import Any, cast

from .core.errors import ConfigurationError, FieldingError

__all__ = ["WebhookVerificationError", "verify"]

_DIGITS = re.compile(r"[0-9]+")
_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")
_LAST_SECOND = 253_402_300_799  # of the year 9999: a datetime can hold no later one
_LONGEST = 20  # digits of a timestamp, leading zeros included
_LONGEST_HEADER = 4096  # characters; one with two signatures has about 150
_MOST_SIGNATURES = 16  # a sender cannot choose how much is compared


class WebhookVerificationError(FieldingError, ValueError):
    """A webhook delivery that must not be trusted. The message says what is wrong with it.

    The message shows neither the secret nor any signature.
    """


def verify(
    body: bytes | bytearray | memoryview,
    header: str,
    secret: str,
    *,
    tolerance: float = 300,
    now: float | None = None,
) -> datetime:
    """Check that a delivery was signed with `secret` and recently. Return the time of the signature (aware, in UTC).

    `body`: the raw bytes of the request. `header`: the text of `Cint-Signature`,
    `t=<unix seconds>,v1=<hex hmac-sha256>`. It can contain several `v1` signatures, for example while the secret is
    being changed. One matching signature is enough. Signatures with other names are ignored. A header with more than
    4096 characters or more than 16 `v1` is refused without a computation. `secret`: the webhook's secret, exactly as
    given (not base64-decoded). `tolerance`: the greatest allowed difference between the time of the signature and
    `now`, in seconds, in both directions. `now`: unix seconds. If it is left out, the wall clock is used.

    The signature covers the time and the body. So if somebody sends an old delivery again, it is refused because of its
    age. If a delivery is sent again within `tolerance`, it is accepted, so your program must detect the repetition.
    Raises `WebhookVerificationError` if the delivery must not be trusted, and `ConfigurationError` for a bad argument.

    Source: header `Cint-Signature` of the account's webhooks.
    """
    raw = _check_body(body)
    key = _check_secret(secret)
    limit = _check_number("tolerance", tolerance)
    if limit < 0:
        raise ConfigurationError(f"tolerance={tolerance!r}: must be 0 seconds or more")
    moment = time.time() if now is None else _check_number("now", now)
    signed_at, candidates = _read(header)
    digest = hmac.new(key, f"{signed_at}.".encode(), sha256)
    digest.update(raw)
    expected = digest.digest()
    # all candidates are compared, so that the time taken does not depend on which one matches
    matches = [hmac.compare_digest(expected, candidate) for candidate in candidates]
    if not any(matches):
        raise WebhookVerificationError(
            "Cint-Signature: no v1 signature matches the body (another secret, or body or time were changed):"
            " check the secret, and pass the body as it came"
        )
    seconds = int(signed_at)
    age = moment - seconds
    if age > limit:
        raise WebhookVerificationError(
            f"Cint-Signature: signed {ceil(age)} seconds ago, more than the {limit:g} allowed (repeated?)"
        )
    if -age > limit:
        raise WebhookVerificationError(
            f"Cint-Signature: signed {ceil(-age)} seconds in the future, more than the {limit:g} allowed (clocks?)"
        )
    return datetime.fromtimestamp(seconds, UTC)


def _read(header: Any) -> tuple[str, list[bytes]]:
    """Return the timestamp, as written, and the v1 signatures of a header."""
    if header is None or header == "":
        raise WebhookVerificationError("Cint-Signature: the header is missing or empty")
    if not isinstance(header, str):
        raise ConfigurationError(f"header: must be the text of Cint-Signature, not {type(header).__name__}")
    if len(header) > _LONGEST_HEADER:
        raise WebhookVerificationError(f"Cint-Signature: longer than {_LONGEST_HEADER} characters")
    times: list[str] = []
    signatures: list[str] = []
    for item in header.split(","):
        name, _, value = item.strip(" \t").partition("=")
        if name == "t":
            times.append(value)
        elif name == "v1":
            signatures.append(value)
    if not times:
        raise WebhookVerificationError("Cint-Signature: no timestamp (t=)")
    if len(times) > 1:
        raise WebhookVerificationError("Cint-Signature: more than one timestamp (t=)")
    (signed_at,) = times
    if not _DIGITS.fullmatch(signed_at):
        raise WebhookVerificationError("Cint-Signature: the timestamp (t=) is not a whole number of seconds")
    if len(signed_at) > _LONGEST or int(signed_at) > _LAST_SECOND:
        raise WebhookVerificationError("Cint-Signature: the timestamp (t=) is out of range")
    if not signatures:
        raise WebhookVerificationError("Cint-Signature: no v1 signature")
    if len(signatures) > _MOST_SIGNATURES:
        raise WebhookVerificationError(f"Cint-Signature: more than {_MOST_SIGNATURES} v1 signatures")
    readable = [bytes.fromhex(signature) for signature in signatures if _SIGNATURE.fullmatch(signature)]
    if not readable:
        raise WebhookVerificationError("Cint-Signature: no v1 signature of 64 hexadecimal digits")
    return signed_at, readable


def _check_body(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, bytearray | memoryview):
        return bytes(cast("bytes", body))
    hint = ": pass the raw bytes, before they are decoded or parsed"
    raise ConfigurationError(f"body: must be bytes, not {type(body).__name__}{hint}")


def _check_secret(secret: Any) -> bytes:
    if not isinstance(secret, str):
        raise ConfigurationError(f"secret: must be a str, not {type(secret).__name__}")
    if not secret:
        raise ConfigurationError("secret: must not be empty: pass the secret of the webhook")
    try:
        return secret.encode()
    except UnicodeEncodeError:
        problem = "secret: must hold only characters that are text, without lone surrogates"
    raise ConfigurationError(problem)


def _check_number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{name}: must be a number of seconds, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise ConfigurationError(f"{name}: must be a finite number of seconds")
    return number

"""The JSON of a hint: what a GET of a run showed, with its ETag, for sessions elsewhere.

It holds no more of the reply than a session that goes by it may use. Who changed the run last is left out, as is
whatever else the exchange says of people, and a reply that shows a secret of the session is no hint at all.
"""

import json
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, cast

from attrs import frozen

from fielding_async.core.errors import ProtocolError
from fielding_async.core.models import FieldingRun, RunRef

from .bodies import decode_run
from .replies import Response, came_from_a_cache, read_etag

__all__ = ["MAX_AGE", "Hint", "decode_hint", "encode_hint"]

MAX_AGE = 600.0
"""Seconds for which a hint may be used."""

_FORMAT = 1
_LONGEST = 10_000  # characters
_FIELDS = (
    *("id", "status", "version", "start_fielding_at", "end_fielding_at"),
    *("account_id", "project_id", "target_group_id"),
)


@frozen
class Hint:
    """A hint to be stored. Of two of one run the one with the higher `version` is newer, then that with the later `at`.

    `etag`: the ETag of the run. `at`: the seconds since 1970 of the reply's `Date`, by the exchange's clock; 0 if it
    has none. `text`: the JSON.
    """

    etag: str
    version: int
    at: int
    text: str


def encode_hint(ref: RunRef, response: Response) -> Hint | None:
    """Return the hint of a GET's reply; `None` if it is none: it came from a cache, has no ETag, or shows a secret."""
    etag = read_etag(response)
    if response.status != 200 or etag is None or response.is_redacted or came_from_a_cache(response):
        return None
    try:
        run = decode_run(response.body, etag, ref)
        body = cast("dict[str, Any]", json.loads(response.body))
    except (ProtocolError, ValueError):
        return None
    shown = {name: body[name] for name in _FIELDS if name in body}
    text = json.dumps({"format": _FORMAT, "ref": str(ref), "etag": etag, "run": shown}, separators=(",", ":"))
    if run.version is None or len(text) > _LONGEST:
        return None
    return Hint(etag, run.version, _seconds(response.headers.get("Date")), text)


def _seconds(date: str | None) -> int:
    try:
        at = parsedate_to_datetime((date or "")[:100])
        return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0


def decode_hint(ref: RunRef, text: bytes, age: float) -> FieldingRun | None:
    """Return the run of a hint with its ETag; `None` if it is too old, of another run or format, or cannot be read.

    `age`: the seconds since it was stored.
    """
    if not 0 <= age <= MAX_AGE or len(text) > 4 * _LONGEST:
        return None
    try:
        hint: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    fields = cast("dict[str, object]", hint) if isinstance(hint, dict) else {}
    etag, shown = fields.get("etag"), fields.get("run")
    if fields.get("format") != _FORMAT or fields.get("ref") != str(ref):
        return None
    if not isinstance(etag, str) or not isinstance(shown, dict):
        return None
    reply = Response(200, {"ETag": etag}, b"")
    try:
        run = decode_run(json.dumps(shown).encode(), read_etag(reply), ref)
    except (ProtocolError, ValueError, RecursionError):
        return None
    return run if run.etag is not None else None

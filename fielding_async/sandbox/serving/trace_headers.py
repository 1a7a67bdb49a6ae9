"""The W3C trace headers of a reply, taken from the request where they are valid."""

import re

from .ids import IdGenerator

__all__ = ["trace_headers"]

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_PRINTABLE = re.compile(r"[\x20-\x7e]+")


def trace_headers(traceparent: str | None, tracestate: str | None, ids: IdGenerator) -> tuple[str, str, str]:
    """Return traceparent, tracestate and trace id: those of the request, or new ones where absent or malformed."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match is None or traceparent is None or (traceparent.startswith("00") and match[2]):
        trace_id, span_id = ids.hex(32), ids.hex(16)
        return f"00-{trace_id}-{span_id}-01", f"cint={span_id}", trace_id
    if tracestate is None or not _PRINTABLE.fullmatch(tracestate):
        tracestate = f"cint={ids.hex(16)}"
    return traceparent, tracestate, match[1]

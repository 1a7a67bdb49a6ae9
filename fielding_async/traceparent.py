"""W3C Trace Context: what goes into the `traceparent` header, and what may be read from one.

Source: https://www.w3.org/TR/trace-context/, sections 3.2 and 3.3.
"""

import re
from collections.abc import Callable

from attrs import frozen

__all__ = ["TraceContext", "mint_span_id", "mint_trace_id", "parse_traceparent", "traceparent"]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


@frozen
class TraceContext:
    """One position in a trace: ids as lower-case hex, flags 0 to 255."""

    trace_id: str
    span_id: str
    flags: int = 0


def traceparent(trace_id: str, span_id: str, flags: int) -> str:
    """Return the header's text, version 00; ids as lower-case hex, flags 0 to 255."""
    return f"00-{trace_id}-{span_id}-{flags:02x}"


def parse_traceparent(text: str) -> TraceContext | None:
    """Read a `traceparent`; `None` if it is not valid. A newer version is read as far as version 00 goes."""
    match = _TRACEPARENT.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceContext(trace_id, span_id, int(flags, 16))


def mint_trace_id(getrandbits: Callable[[int], int]) -> str:
    """Return a new trace id, never all zeros. `getrandbits` is the dice."""
    return f"{getrandbits(128) or 1:032x}"


def mint_span_id(getrandbits: Callable[[int], int]) -> str:
    """Return a new span id, never all zeros. `getrandbits` is the dice."""
    return f"{getrandbits(64) or 1:016x}"

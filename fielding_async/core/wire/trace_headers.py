"""W3C Trace Context: the `traceparent` and `tracestate` headers, written and read.

Source: https://www.w3.org/TR/trace-context/, sections 3.2 and 3.3.
"""

import re
from collections.abc import Iterable, Sequence

from attrs import frozen

__all__ = [
    "FLAGS",
    "Members",
    "TraceContext",
    "format_tracestate",
    "parse_traceparent",
    "parse_tracestate",
    "read_trace_context",
    "traceparent",
]

FLAGS = 0x03
"""The flags that have a meaning: sampled and (level 2) random. The others are sent as zero."""

Members = tuple[tuple[str, str], ...]
"""The list members of a `tracestate`, the latest first."""

_MOST_MEMBERS = 32
_LONG_MEMBER = 128
# Characters: eight times what everybody should pass on, and half of what servers usually accept in one line.
_MOST_STATE = 4096

_MEMBER = (
    r"([a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


@frozen
class TraceContext:
    """One position in a trace: ids as lower-case hex, flags 0 to 255, and the members of its `tracestate`."""

    trace_id: str
    span_id: str
    flags: int = 0
    state: Members = ()


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


def parse_tracestate(lines: Iterable[str]) -> Members:
    """Read the `tracestate` lines of one request, in their order; `()` if any member is not valid, or at more than 32.

    Of members with one key the first is kept: it is the latest.
    """
    members: dict[str, str] = {}
    for line in lines:
        for text in line.split(","):
            member = text.strip(" \t")
            if not member:
                continue
            match = re.fullmatch(_MEMBER, member, re.ASCII)  # compiled when first needed: that takes a millisecond
            if match is None:
                return ()
            members.setdefault(*match.groups())
            if len(members) > _MOST_MEMBERS:
                return ()
    return tuple(members.items())


def format_tracestate(members: Iterable[tuple[str, str]]) -> str:
    """Return the header's text, all members in order; empty if there are none, or one is not valid.

    A text of more than 4096 characters is shortened as the recommendation says: members of more than 128 characters
    are removed first, then those at the end.
    """
    kept = [f"{key}={value}" for key, value in members]
    if parse_tracestate(kept) != tuple(tuple(member.split("=", 1)) for member in kept):
        return ""
    while len(text := ",".join(kept)) > _MOST_STATE:
        long = [place for place, member in enumerate(kept) if len(member) > _LONG_MEMBER]
        del kept[long[-1] if long else -1]
    return text


def read_trace_context(traceparents: Sequence[str], tracestates: Iterable[str]) -> TraceContext | None:
    """Read the trace headers of one request; `None` unless there is exactly one `traceparent`, and it is valid."""
    context = parse_traceparent(traceparents[0]) if len(traceparents) == 1 else None
    if context is None:
        return None
    return TraceContext(context.trace_id, context.span_id, context.flags, parse_tracestate(tracestates))

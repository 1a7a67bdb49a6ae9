"""The log lines of the SDK: logger `fielding_async`, silent unless the program configures logging.

A line holds only the values that it names, and no header, body or token. They are the record's `args`, by name, and its
attributes, with `fielding_` before the name.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class LoggedCall(Protocol):
        """The call that a log line is about."""

        name: str
        trace_id: str

        @property
        def session(self) -> str | None:
            """The name of its session, if that has one."""
            ...


__all__ = ["EXTRA", "LINES", "contained", "warn_once", "write_line"]

LINES: dict[str, tuple[int, str]] = {
    "retry": (logging.INFO, "attempt %(attempt)d failed (%(error_type)s), next in %(seconds).2f s"),
    "lost reply": (logging.DEBUG, "no usable reply (%(error_type)s), may be applied"),
    "conflict": (logging.INFO, "412, conflict %(conflicts)d on run %(run)s"),
    "assistant conflict": (logging.INFO, "412, conflict %(conflicts)d on the assistant of group %(target_group)s"),
    "pause": (logging.INFO, "429, all requests pause for %(seconds).2f s"),
    "poll": (logging.INFO, "poll failed (%(error_type)s), polling on"),
    "replay": (logging.INFO, "%(status)d, trying again with another token"),
    "renewal": (logging.INFO, "token renewed"),
    "no token": (logging.WARNING, "no token (%(error_type)s)"),
    "telemetry": (logging.WARNING, "tracing or metrics raised %(error_type)s"),
    "doubt": (logging.WARNING, "%(text)s"),
    "left out": (logging.WARNING, "a field of a reply cannot be read and was left out: %(field)s"),
    "outlived": (logging.WARNING, "the write of the cancelled call was %(result)s"),
}
"""Each line: its level and its text, which names its values. The call's name and trace id are added."""

EXTRA = "fielding_"
"""The prefix of the attributes that are added to a log record, so that they do not collide with others."""

_log = logging.getLogger("fielding_async")
_log.addHandler(logging.NullHandler())  # otherwise warnings would go to stderr


def write_line(line: str, call: "LoggedCall", **values: str | float) -> None:
    """Write a log line about a call."""
    level, text = LINES[line]
    if _log.isEnabledFor(level):
        values = {"operation": call.name, "trace_id": call.trace_id, **values}
        text = f"%(operation)s: {text} [%(trace_id)s]"
        if call.session is not None:
            values["session"] = call.session
            text = f"%(session)s: {text}"
        with suppress(Exception):  # of a filter or handler of the user's: it must not change what becomes of a call
            _log.log(level, text, values, extra=_extra(line, values))


def _extra(line: str, values: Mapping[str, str | float]) -> dict[str, str | float]:
    """Return the values of a line as attributes of its record, for formatters that make fields of those."""
    return {f"{EXTRA}line": line, **{f"{EXTRA}{name}": value for name, value in values.items()}}


_warned: set[str] = set()


def warn_once(text: str) -> None:
    """Write a warning that is about no call, once in the life of the process."""
    if text not in _warned:
        _warned.add(text)
        _log.warning("%(text)s", {"text": text}, extra=_extra("once", {"text": text}))


class contained:  # noqa: N801 - reads as a statement
    """A context that keeps exceptions of the user's tracing and metrics (of a span processor, say) from the call."""

    def __init__(self, call: "LoggedCall") -> None:
        self._call = call

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        write_line("telemetry", self._call, error_type=type(error).__name__)
        return True

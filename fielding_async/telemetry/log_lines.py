"""The log lines of the SDK: logger `fielding_async`, silent unless the program configures logging.

A line holds only the values that it names, and no header, body or token. They are the record's `args`, by name.
"""

import logging
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class LoggedCall(Protocol):
        """The call that a log line is about."""

        name: str
        trace_id: str


__all__ = ["LINES", "contained", "write_line"]

LINES: dict[str, tuple[int, str]] = {
    "retry": (logging.INFO, "attempt %(attempt)d failed (%(error_type)s), next in %(seconds).2f s"),
    "lost reply": (logging.DEBUG, "no usable reply (%(error_type)s), may be applied"),
    "conflict": (logging.INFO, "412, conflict %(conflicts)d on run %(run)s"),
    "pause": (logging.INFO, "429, all requests pause for %(seconds).2f s"),
    "poll": (logging.INFO, "poll failed (%(error_type)s), polling on"),
    "replay": (logging.INFO, "%(status)d, trying again with another token"),
    "renewal": (logging.INFO, "token renewed"),
    "no token": (logging.WARNING, "no token (%(error_type)s)"),
    "telemetry": (logging.WARNING, "tracing or metrics raised %(error_type)s"),
    "doubt": (logging.WARNING, "%(text)s"),
    "left out": (logging.WARNING, "a field of a reply cannot be read and was left out: %(field)s"),
}
"""Each line: its level and its text, which names its values. The call's name and trace id are added."""

_log = logging.getLogger("fielding_async")
_log.addHandler(logging.NullHandler())  # otherwise warnings would go to stderr


def write_line(line: str, call: "LoggedCall", **values: str | float) -> None:
    """Write a log line about a call."""
    level, text = LINES[line]
    if _log.isEnabledFor(level):
        values = {"operation": call.name, "trace_id": call.trace_id, **values}
        _log.log(level, f"%(operation)s: {text} [%(trace_id)s]", values)


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

"""The door of the log: the logger `fielding_async`, quiet until somebody listens.

Only the values that a line names go into it: no header, no body, no token. They are the record's `args`, by name.
"""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from .signals import LINES

__all__ = ["Teller", "harmless", "say"]

_log = logging.getLogger("fielding_async")
_log.addHandler(logging.NullHandler())  # else warnings would go to stderr


class Teller(Protocol):
    """The call that a line is about."""

    name: str
    trace_id: str


_LEVELS = {name: logging.getLevelNamesMapping()[line.level] for name, line in LINES.items()}


def say(line: str, call: Teller, **values: str | float) -> None:
    """Write a line."""
    level = _LEVELS[line]
    if _log.isEnabledFor(level):
        _log.log(level, LINES[line].text, {"operation": call.name, "trace_id": call.trace_id, **values})


@contextmanager
def harmless(call: Teller) -> Generator[None, None, None]:
    """Keep what the tracing and metrics of the user raise (a span processor, say) away from a call."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is
        say("telemetry", call, error_type=type(error).__name__)

"""Reads the first line and the records of a journal. Pure."""

import json
from datetime import datetime
from functools import lru_cache
from typing import Any

from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, Update, check_action
from fielding_async.core.dates import parse_timestamp
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import FieldingRun

from .chain import DamagedError
from .lines import is_as_written
from .values import FORMAT, Binding

__all__ = ["begins_a_journal", "read_action", "read_binding", "read_intent", "text_of", "time_of", "unknown_record"]

_STATUS_ACTIONS = {action.name: action for action in (LaunchNow(), Pause(), Resume(), Complete(), Relaunch())}

_parse_date = lru_cache(4096)(parse_timestamp)  # of millions of dates many may be the same


def begins_a_journal(data: bytes) -> bool:
    """Whether these are the first bytes of a journal, however few."""
    mark = b'{"fielding_journal":'
    return data[: len(mark)] == mark[: len(data)]


def read_binding(line: bytes) -> Binding:
    """Read the first line. Raises `ConfigurationError`, which says what is wrong but not in which file."""
    try:
        record = json.loads(line)
        version = record["fielding_journal"]
        binding = Binding(record["base_url"], record["api_version"], record["plan"], format=version)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError("is not a journal of this library") from None
    if version not in (1, FORMAT):
        raise ConfigurationError(
            f"is a journal of format {version!r:.20}; this version reads formats 1 to {FORMAT}; use a newer version"
        )
    if version == FORMAT and not is_as_written(line):
        raise ConfigurationError("is damaged: line 1 is not as it was written")
    return binding


def read_action(value: Any) -> Action:
    """Return the action of a record. Raises `ValueError`, `KeyError` or `TypeError`."""
    if isinstance(value, str):
        return _STATUS_ACTIONS[value]
    name, start, end = value
    if name != Update.name:
        raise ValueError(name)
    return check_action(Update(start and parse_timestamp(start), end and parse_timestamp(end)))


def read_intent(record: dict[str, Any]) -> tuple[Action, FieldingRun]:
    """Return the action of an intent and the run under whose ETag it was sent. Raises as `read_action` does."""
    base = FieldingRun(
        id=text_of(record["run"]),
        status=text_of(record["status"]),
        version=None if record["version"] is None else int(record["version"]),
        start_fielding_at=_parse_date(record["start_at"]),
        end_fielding_at=_parse_date(record["end_at"]),
        last_changed_at=None if record["changed_at"] is None else _parse_date(record["changed_at"]),
        last_changed_by=None if record["changed_by"] is None else text_of(record["changed_by"]),
        etag=text_of(record["etag"]),
        start_text=record["start_at"],
        end_text=record["end_at"],
    )
    return read_action(record["action"]), base


def unknown_record(line: int) -> DamagedError:
    """Return the error for a line that is whole and says something unknown."""
    return DamagedError(f"line {line} is no record that this version knows; a newer version may have written it")


def time_of(text: str | None) -> datetime | None:
    """Return the time of a group; `None` for one of format 1. Raises `ValueError`."""
    return None if not text else _parse_date(text)


def text_of(value: Any) -> str:
    """Return `value` if it is a text; raises `TypeError`."""
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value

"""Faults as JSON, such as `{"fault": "Cut", "at": "after"}`, and as texts, such as `cut:after@pause`."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast, get_args

from attrs import fields

from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.sandbox.faults.hold import Hold
from fielding_async.sandbox.faults.values import Fault
from fielding_async.sandbox.serving.checks import did_you_mean, wrong
from fielding_async.sandbox.world.records import JobFailure

__all__ = ["fault_from_json", "fault_from_text", "instant"]

_CLASSES: Mapping[str, type] = {kind.__name__: kind for kind in get_args(Fault)}
_TEXT = re.compile(
    r"(?:(?P<count>[0-9]+)\*)?(?P<name>[A-Za-z-]+)(?::(?P<values>.*?))?(?:@(?P<on>[A-Za-z-]+))?", re.DOTALL
)
_MOST = 10_000  # of one fault in a text


def instant(call: str, name: str, value: Any) -> Any:
    """Return the time that an RFC 3339 text names. Another value is left to the check of what it is passed to."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ConfigurationError(
            f"{call}({name}={briefly(value)}): must be a time such as 2031-05-01T09:00:00Z"
        ) from None


def fault_from_json(value: Any) -> Fault:
    """Return the fault that a JSON object names: `fault` is its class, the other keys are the arguments of that class.

    Bytes are given as text, dates in RFC 3339, `shift_end` in seconds. Raises `ConfigurationError`.
    """
    if not isinstance(value, dict):
        raise ConfigurationError(
            f'fault={briefly(value, 100)}: must be an object such as {{"fault": "Cut", "at": "after"}}'
        )
    given = dict(cast("dict[str, Any]", value))
    kind = _class_of(given.pop("fault", None))
    names = _fields_of(kind)
    for name in given:
        if name not in names:
            hint = did_you_mean(name, names) or (f"it has {', '.join(names)}" if names else "it has no arguments")
            raise ConfigurationError(f"{kind.__name__}({name}=…): must have no such argument; {hint}")
    call = kind.__name__
    try:
        return cast("Fault", kind(**{name: _value(call, name, content) for name, content in given.items()}))
    except TypeError:
        raise ConfigurationError(f"{call}: must be given all its arguments: {', '.join(names)}") from None


def fault_from_text(text: str) -> tuple[list[Fault], str | None]:
    """Return the faults that a text names, and the operation or method that they are for.

    The form is `[COUNT*]NAME[:VALUE,…][@OPERATION]`; values may be named (`status:429,retry_after=1`). Raises
    `ConfigurationError`.
    """
    found = _TEXT.fullmatch(text)
    count = int(found["count"] or 1) if found else 0
    if found is None or not 1 <= count <= _MOST:
        raise ConfigurationError(f"fault {text!r}: must be like cut:after@pause, status:503 or 3*delay:2@GET")
    kind = _class_of(found["name"])
    names, given = _fields_of(kind), dict[str, Any]()
    for place, part in enumerate(found["values"].split(",") if found["values"] else []):
        name, equals, content = part.partition("=")
        if not equals or name.replace("-", "_") not in names:
            name, content = (names[place] if place < len(names) else "", part)
        if not name:
            raise ConfigurationError(
                f"fault {text!r}: must have at most the arguments of {kind.__name__}: {', '.join(names) or '(none)'}"
            )
        given[name.replace("-", "_")] = _from_text(kind, name.replace("-", "_"), content)
    return [fault_from_json({"fault": kind.__name__, **given}) for _ in range(count)], found["on"]


def _class_of(name: Any) -> type:
    plain = str(name).replace("-", "").replace("_", "").lower()
    for known, kind in _CLASSES.items():
        if isinstance(name, str) and known.lower() == plain:
            return kind
    hint = did_you_mean(name, _CLASSES) or f"there are {', '.join(_CLASSES)}"
    raise ConfigurationError(f"fault={briefly(name)}: must be the name of a fault; {hint}")


def _fields_of(kind: type) -> list[str]:
    return ["when"] if kind is Hold else [attribute.name for attribute in fields(cast("Any", kind))]


def _value(call: str, name: str, value: Any) -> Any:
    if name in {"body", "data"} and isinstance(value, str):
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            rule = "text that can be written as UTF-8: leave out the surrogates"
            raise wrong(call, name, value, rule) from None
    if name in {"start_fielding_at", "end_fielding_at"}:
        return instant(call, name, value)
    if name == "shift_end" and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return timedelta(seconds=value)
        except (ValueError, OverflowError):
            raise wrong(call, name, value, "a number of seconds of at most 36500 days, forward or back") from None
    if name == "failure" and isinstance(value, dict):
        try:
            return JobFailure(**cast("dict[str, Any]", value))
        except TypeError:
            raise ConfigurationError(f"{call}(failure=…): must be an object with code and description") from None
    return value


def _from_text(kind: type, name: str, text: str) -> Any:
    if name == "target_group_ids":
        return text.split("+")
    is_number = name in {"seconds", "shift_end", "code"} or (name == "status" and kind.__name__ == "Reply")
    if is_number or name in {"applied", "headers"}:
        read: Callable[[str], Any] = json.loads
        try:
            return read(text.lower() if name == "applied" else text)
        except ValueError:
            return text
    return text

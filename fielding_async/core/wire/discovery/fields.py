"""The fields of a JSON object whose fields are nearly all informative: what cannot be read is `None`, and reported.

A value that no judgement needs must not make a whole page of a list unreadable. What is needed is read by `needed_…`
and is a `ProtocolError` where it is missing or has another type.
"""

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar, cast

from attrs import frozen

from fielding_async.core.dates import read_date
from fielding_async.core.discovery.money import Money
from fielding_async.core.errors import ProtocolError
from fielding_async.core.ids import is_ulid
from fielding_async.core.wire.structuring import Report, clean_text

__all__ = ["Fields", "top_fields"]

_T = TypeVar("_T")


def top_fields(data: Any, what: str, report: Report | None) -> "Fields":
    """Return the fields of the JSON value of a body; raises `ProtocolError` if it is no object."""
    if not isinstance(data, dict):
        raise ProtocolError(f"{what}: expected a JSON object, got {type(data).__name__}")
    return Fields(cast("dict[str, Any]", data), "$", what, report)


@frozen
class Fields:
    """An object at a `path` of a body. `what`: the body, in words. `report`: as for `structure`."""

    data: dict[str, Any]
    path: str
    what: str
    report: Report | None

    def _read(self, name: str, read: Callable[[Any], _T | None]) -> _T | None:
        value = self.data.get(name)
        if value is None:
            return None
        found = read(value)
        if found is None and self.report is not None:
            self.report(f"{self.path}.{name}")
        return found

    def text(self, name: str) -> str | None:
        """Return a text."""
        return self._read(name, _text)

    def integer(self, name: str) -> int | None:
        """Return a whole number."""
        return self._read(name, _integer)

    def rate(self, name: str) -> float | None:
        """Return a number that is finite."""
        return self._read(name, _rate)

    def flag(self, name: str) -> bool | None:
        """Return a truth value."""
        return self._read(name, _flag)

    def date(self, name: str) -> datetime | None:
        """Return an aware datetime in UTC."""
        return self._read(name, _date)

    def money(self, name: str) -> Money | None:
        """Return an amount of money."""
        found = self.object(name)
        if found is None:
            return None
        value = found.text("value")
        if value is None:
            return None
        return Money(
            value=value, currency_code=found.text("currency_code"), currency_scale=found.integer("currency_scale")
        )

    def object(self, name: str) -> "Fields | None":
        """Return the fields of an object."""
        found = self._read(name, _object)
        return None if found is None else Fields(found, f"{self.path}.{name}", self.what, self.report)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a list; entries of other types are left out."""
        return tuple(self._entries(name, _text))

    def objects(self, name: str) -> "Iterator[Fields]":
        """Yield the objects of a list; entries of other types are left out."""
        for entry in self._entries(name, _object):
            yield Fields(entry, f"{self.path}.{name}[]", self.what, self.report)

    def _entries(self, name: str, read: Callable[[Any], _T | None]) -> Iterator[_T]:
        for value in self._read(name, _list) or ():
            entry = read(value)
            if entry is not None:
                yield entry
            elif self.report is not None:
                self.report(f"{self.path}.{name}[]")

    # -- what is needed

    def needed_id(self, name: str) -> str:
        """Return the id of a project or target group; raises `ProtocolError`."""
        value = self.data.get(name)
        if not is_ulid(value):
            raise self._wrong(name, "an id of 26 characters out of 0-9 and A-Z", value)
        return value

    def needed_integer(self, name: str) -> int:
        """Return a whole number; raises `ProtocolError`."""
        value = self.data.get(name)
        if type(value) is not int:
            raise self._wrong(name, "int", value)
        return value

    def needed_text(self, name: str) -> str:
        """Return a text; raises `ProtocolError`."""
        value = self.data.get(name)
        if type(value) is not str:
            raise self._wrong(name, "str", value)
        return clean_text(value)

    def needed_objects(self, name: str) -> "Iterator[Fields]":
        """Yield the objects of a list; raises `ProtocolError`, also for an entry of another type."""
        value = self.data.get(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        for entry in cast("list[object]", value):
            if not isinstance(entry, dict):
                kind = type(entry).__name__
                raise ProtocolError(f"{self.what}: must be an object, not {kind} @ {self.path}.{name}[]")
            yield Fields(cast("dict[str, Any]", entry), f"{self.path}.{name}[]", self.what, self.report)

    def _wrong(self, name: str, wanted: str, value: Any) -> ProtocolError:
        where = f"{self.path}.{name}"
        if value is None:
            return ProtocolError(f"{self.what}: required field missing @ {where}")
        shown = f"{value!r:.60}" if isinstance(value, str) else type(value).__name__
        return ProtocolError(f"{self.what}: must be {wanted}, not {shown} @ {where}")


def _text(value: Any) -> str | None:
    return clean_text(value) if type(value) is str else None


def _integer(value: Any) -> int | None:
    return value if type(value) is int else None


def _rate(value: Any) -> float | None:
    if type(value) is not int and type(value) is not float:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _flag(value: Any) -> bool | None:
    return value if type(value) is bool else None


def _date(value: Any) -> datetime | None:
    try:
        return read_date(value)[0] if type(value) is str else None
    except ValueError:
        return None


def _object(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _list(value: Any) -> list[object] | None:
    return cast("list[object]", value) if isinstance(value, list) else None

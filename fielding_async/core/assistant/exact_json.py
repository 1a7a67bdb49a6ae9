"""JSON that is kept as it was written: the members of an object as texts, and numbers with their digits."""

import json
import re
from collections.abc import Hashable
from decimal import Decimal
from math import isfinite
from typing import Any, cast

from attrs import field, frozen

from fielding_async.core.errors import ConfigurationError, briefly

__all__ = ["JsonNumber", "dump", "load", "meaning", "members", "object_text"]

_NUMBER = re.compile(r"(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?", re.ASCII)
_LONGEST_EXPONENT = 4000  # digits; `int` reads no more than 4300
_DEEPEST = 100  # levels of nesting
_SPACE = re.compile(r"[ \t\n\r]*", re.ASCII)


def _check_number(_owner: Any, _attribute: Any, text: Any) -> None:
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise ConfigurationError(f"JsonNumber({briefly(text)}): must be the text of a JSON number, such as '1.10'")


@frozen
class JsonNumber:
    """A number of a JSON text, with all its digits. Two of them are equal only if their texts are equal: `1.10` is not
    `1.1`.

    `int(number)` and `float(number)` convert the number, and so does `decimal.Decimal(number.text)`.
    """

    __module__ = "fielding_async"

    text: str = field(validator=_check_number)
    """The number as it was written."""

    def __int__(self) -> int:
        """Return the number as an int. Raises `ValueError` if the text has a fraction or an exponent."""
        return int(self.text)

    def __float__(self) -> float:
        """Return the nearest float."""
        return float(self.text)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_SCAN = json.JSONDecoder(parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=_refuse).raw_decode


def load(text: str) -> Any:
    """Return the value of a JSON text: dict, list, str, bool, `None`, and `JsonNumber`. Raises `ValueError`."""
    try:
        value, end = _SCAN(text, _skip(text, 0))
        meaning(value)  # it is not too deep
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _skip(text, end) != len(text):
        raise ValueError(f"more than one value, at character {end}")
    return value


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def members(text: str) -> dict[str, str]:
    """Return the members of a JSON object in their order: name, and text of the value as it was written.

    Raises `ValueError`, also for an object that names a member twice.
    """
    value = load(text)
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {type(value).__name__}")
    found: dict[str, str] = {}
    position = _skip(text, text.index("{") + 1)
    while text[position] != "}":
        name, position = _SCAN(text, position)
        start = _skip(text, _skip(text, position) + 1)  # behind the colon
        _, position = _SCAN(text, start)
        if name in found:
            raise ValueError(f"has the member {name!r} twice")
        found[name] = text[start:position]
        position = _skip(text, position)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return found


def object_text(texts: dict[str, str]) -> str:
    """Return the JSON object of these members: the inverse of `members`."""
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in texts.items()) + "}"


def dump(value: Any, what: str = "value", level: int = 0) -> str:
    """Return the JSON text of a value; numbers may be `JsonNumber`, int, `Decimal` or float, if finite.

    Raises `ConfigurationError`, which names the place below `what`.
    """
    if level > _DEEPEST:
        raise ConfigurationError(f"{what:.200}: must be at most {_DEEPEST} levels deep")
    match value:
        case None | bool() | str():
            return json.dumps(value)
        case JsonNumber(text):
            return text
        case int() | float() | Decimal():
            return _number_text(value, what)
        case dict():
            entries = cast("dict[object, object]", value)
            for name in entries:
                if not isinstance(name, str):
                    raise ConfigurationError(f"{what:.200}: the name {briefly(name)} must be a str")
            return object_text({str(n): dump(entry, f"{what}.{n}", level + 1) for n, entry in entries.items()})
        case list() | tuple():
            listed = cast("list[object]", value)
            return "[" + ",".join(dump(entry, f"{what}[{n}]", level + 1) for n, entry in enumerate(listed)) + "]"
        case _:
            kind = type(value).__name__
            raise ConfigurationError(f"{what:.200}: must be a JSON value (dict, list, str, number, bool), not {kind}")


def _number_text(number: float | Decimal, what: str) -> str:
    try:
        text = str(number) if isinstance(number, Decimal) or isfinite(number) else ""
    except (ValueError, OverflowError):  # `int` writes no more than 4300 digits
        text = ""
    if not _NUMBER.fullmatch(text):
        raise ConfigurationError(f"{what:.200}: must be a finite number; give one of many digits as a JsonNumber")
    return text


def meaning(value: Any, level: int = 0) -> Hashable:
    """Return what two JSON values share if and only if they mean the same.

    Neither the order of members counts nor how a number was written. Raises `ValueError` if it is nested too deeply.
    """
    if level > _DEEPEST:
        raise ValueError(f"nested more than {_DEEPEST} levels deep")
    match value:
        case dict():
            entries = cast("dict[str, object]", value)
            return "object", frozenset((name, meaning(entry, level + 1)) for name, entry in entries.items())
        case list():
            return "array", tuple(meaning(entry, level + 1) for entry in cast("list[object]", value))
        case JsonNumber(text):
            return "number", _number_meaning(text)
        case _:
            return type(value).__name__, value


def _number_meaning(text: str) -> Hashable:
    match = _NUMBER.fullmatch(text)
    sign, whole, fraction, exponent = match.groups("") if match else ("", text, "", "")
    if len(exponent) > _LONGEST_EXPONENT:
        return text
    digits = (whole + fraction).lstrip("0")
    kept = digits.rstrip("0")
    if not kept:
        return 0
    return sign, kept, int(exponent or "0") - len(fraction) + len(digits) - len(kept)

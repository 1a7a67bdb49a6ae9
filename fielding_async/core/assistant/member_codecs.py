"""The members of modules: checked when a caller makes a value, read from JSON texts, and written."""

import re
from collections.abc import Callable, Hashable, Iterator
from datetime import datetime, timedelta
from typing import Any, cast

from attrs import field, frozen

from fielding_async.core.dates import floor_to_milliseconds, parse_timestamp, to_text
from fielding_async.core.discovery.money import Money
from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.ids import check_ulid

from .exact_json import JsonNumber, dump, load, meaning, members, object_text

__all__ = [
    "CODEC",
    "DATE",
    "INTERVAL",
    "MONEY",
    "PLAIN",
    "SOURCE",
    "WHOLE",
    "Codec",
    "amount",
    "check_flag",
    "check_interval",
    "check_money",
    "group_id",
    "members_of",
    "moment",
    "percentage",
    "source_of",
    "still_says",
]

_AMOUNT = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_DURATION = re.compile(r"P(?:(\d{1,3})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?", re.ASCII)
_LONGEST_INTERVAL = timedelta(days=398)
SOURCE = "source"
CODEC = "codec"
_MONEY_MEMBERS = ("value", "currency_code", "currency_scale")
_EXAMPLE = "Money(value='5.00', currency_code='USD')"


# -- the values of members: checked when a caller makes them, read and written


def check_money(owner: Any, attribute: Any, value: Any) -> None:
    """Raise `ConfigurationError` unless it is a `Money` with a decimal number and a currency, or `None`."""
    if value is None:
        return
    where = _where(owner, attribute)
    if not isinstance(value, Money):
        raise ConfigurationError(f"{where}={briefly(value)}: must be a Money, such as {_EXAMPLE}")
    if not isinstance(value.value, str) or not _AMOUNT.fullmatch(value.value):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{where}: value={briefly(value.value)} must be a decimal number in a str: {_EXAMPLE}")
    if not isinstance(value.currency_code, str) or not _CURRENCY.fullmatch(value.currency_code):
        raise ConfigurationError(
            f"{where}: currency_code={briefly(value.currency_code)} must be three letters: {_EXAMPLE}"
        )


def _where(owner: Any, attribute: Any) -> str:
    return f"{type(owner).__name__}: {attribute.name}"


def check_flag(owner: Any, attribute: Any, value: Any) -> None:
    """Raise `ConfigurationError` unless it is a bool."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{_where(owner, attribute)}={briefly(value)}: must be True or False")


def percentage(least: int) -> Callable[[Any, Any, Any], None]:
    """Return the check that a value is a whole number from `least` to 100; it raises `ConfigurationError`."""

    def check(owner: Any, attribute: Any, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 100:
            raise ConfigurationError(
                f"{_where(owner, attribute)}={briefly(value)}: must be a whole number from {least} to 100"
            )

    return check


def check_interval(owner: Any, attribute: Any, value: Any) -> None:
    """Raise `ConfigurationError` unless it is a timedelta of whole seconds, above 0 and below 398 days."""
    if not isinstance(value, timedelta) or value.microseconds or not timedelta(0) < value < _LONGEST_INTERVAL:
        raise ConfigurationError(
            f"{_where(owner, attribute)}={briefly(value)}: must be a timedelta of whole seconds, above 0, below 398"
            " days"
        )


def moment(value: Any) -> datetime:
    """Return an aware datetime in UTC, floored to milliseconds; raises `ConfigurationError`."""
    return floor_to_milliseconds("end_at", value)


def group_id(value: Any) -> str:
    """Return the id of a target group if it is one; raises `ConfigurationError`."""
    return check_ulid("exposed_target_group_id", value)


def _read_money(text: str) -> Money:
    content = {name: load(part) for name, part in members(text).items()}
    scale = content.get("currency_scale")
    return Money(
        value=content["value"],
        currency_code=content["currency_code"],
        currency_scale=None if scale is None else _whole(scale),
    )


def _write_money(value: Money, old: str | None) -> str:
    found = members_of(old)
    found |= {"value": dump(value.value), "currency_code": dump(value.currency_code)}
    if value.currency_scale is not None:
        found["currency_scale"] = dump(value.currency_scale)
    elif "currency_scale" in found:
        del found["currency_scale"]
    return object_text(found)


def members_of(text: str | None) -> dict[str, str]:
    """Return the members of an object as texts; none of what is no object."""
    try:
        return {} if text is None else members(text)
    except ValueError:
        return {}


def amount(value: Money | None) -> Hashable:
    """Return what counts in comparisons: the scale follows from the currency, and may not be sent."""
    return None if value is None else (value.value, value.currency_code)


def _whole(value: Any) -> int:
    if not isinstance(value, JsonNumber):
        raise ValueError(f"must be a number, not {type(value).__name__}")
    return int(value)


def _read_interval(text: str) -> timedelta:
    value = load(text)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or not any(match.groups()):
        raise ValueError(f"not a duration of the form PnDTnHnMnS: {text[:60]}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _write_interval(value: timedelta, _old: str | None = None) -> str:
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    clock = "".join(f"{part}{unit}" for part, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if part)
    return dump("P" + (f"{value.days}D" if value.days else "") + (f"T{clock}" if clock else ""))


@frozen
class Codec:
    """Reads the text of a member, and writes it; `write` is given the old text too.

    `read` raises `ValueError`, `LookupError` or `TypeError` for what it cannot read.
    """

    read: Callable[[str], Any]
    write: Callable[[Any, str | None], str] = lambda value, _: dump(value)


MONEY = {CODEC: Codec(_read_money, _write_money)}
INTERVAL = {CODEC: Codec(_read_interval, _write_interval)}
DATE = {CODEC: Codec(lambda text: moment(parse_timestamp(load(text))), lambda value, _: dump(to_text(value)))}
PLAIN = {CODEC: Codec(load)}
WHOLE = {CODEC: Codec(lambda text: _whole(load(text)))}


def still_says(text: str, codec: Codec, value: object) -> bool:
    """Whether the text of a member is of this very value, so that it can stay as it is."""
    try:
        return bool(codec.read(text) == value)
    except (ValueError, LookupError, TypeError):
        return False


def _unknown(*known: str) -> Callable[[str | None], Hashable]:
    """Return the key by which sources are compared: what they have beside the known members, and within these."""

    def key(source: str | None) -> Hashable:
        content: dict[str, Any] = {} if source is None else load(source)
        return frozenset(_unknown_parts(content, known))

    return key


def _unknown_parts(content: dict[str, Any], known: tuple[str, ...]) -> Iterator[tuple[str, Hashable]]:
    for name, value in content.items():
        if name not in known:
            yield name, meaning(value)
        elif isinstance(value, dict):
            inner = cast("dict[str, Any]", value)
            for part in _unknown_parts(inner, _MONEY_MEMBERS):
                yield name, part


def source_of(*known: str) -> Any:
    """Return the field for the JSON that a module was read from. `known`: the members that have fields of their own."""
    return field(  # pyright: ignore[reportUnknownVariableType]
        default=None, repr=False, kw_only=True, eq=_unknown(*known), alias=SOURCE
    )

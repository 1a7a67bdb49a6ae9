"""Checks of what a test passes to the sandbox. Each error names the call, the argument, the rule and the likely slip.

The checks return the value, and raise `ConfigurationError`. `call` is the function or class that was called, `name` the
argument. `checked` makes a validator of a field of an attrs class from a check.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from math import inf, isfinite
from typing import Any, cast

from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.models import RunRef, as_ref

__all__ = [
    "LONGEST",
    "aware",
    "checked",
    "data",
    "did_you_mean",
    "flag",
    "header_name",
    "header_value",
    "headers",
    "instance",
    "number",
    "one_of",
    "optional",
    "run_ref",
    "seconds",
    "text",
    "texts",
    "timedelta_above",
    "timedelta_within",
    "whole",
    "wrong",
]

LONGEST = 1e10  # seconds of the sandbox's clock: more would lead beyond the year 9999
_SHOWN = 120  # characters of a value
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # no UTF-8 can hold one
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LETTERS = re.compile(r"\s*([0-9.]+)\s*([A-Za-z]+)\s*")
_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "day": 86_400, "days": 86_400, "w": 604_800}

Check = Callable[..., Any]


def wrong(call: str, name: str, value: object, rule: str, hint: str = "") -> ConfigurationError:
    """Return the error of a value that breaks a rule."""
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return ConfigurationError(f"{call}({name}={shown}): must be {rule}{f'; {hint}' if hint else ''}")


def did_you_mean(value: object, allowed: Iterable[str]) -> str:
    """Return a question that names the closest of the allowed texts; an empty text if none is close."""
    if not isinstance(value, str):
        return ""
    known = {_plain(name): str(name) for name in allowed}
    close = [_plain(value)] if _plain(value) in known else get_close_matches(_plain(value), known, n=1, cutoff=0.6)
    return f"did you mean {known[close[0]]!r}?" if close else ""


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def one_of(call: str, name: str, value: Any, allowed: Iterable[str]) -> Any:
    """Check that the value is one of these texts."""
    known = tuple(allowed)
    if not isinstance(value, str) or value not in known:
        raise wrong(call, name, value, f"one of {', '.join(map(repr, known))}", did_you_mean(value, known))
    return value


def number(call: str, name: str, value: Any, *, least: float, most: float, unit: str = "", above: bool = False) -> Any:
    """Check that the value is a finite number from `least` to `most`; with `above` it must be more than `least`."""
    if not _is_number(value) or not least <= value <= most or (above and value <= least):
        low = f"above {least:g} and at most" if above else f"from {least:g} to"
        what = f"a number of {unit}" if unit else "a number"
        raise wrong(call, name, value, f"{what} {low} {most:.12g}", _number_meant(value))
    return value


def seconds(call: str, name: str, value: Any, *, most: float = LONGEST, above: bool = False) -> Any:
    """Check that the value is a number of seconds, 0 or more."""
    return number(call, name, value, least=0, most=most, unit="seconds", above=above)


def whole(call: str, name: str, value: Any, least: int, most: int | None = None) -> Any:
    """Check that the value is a whole number of `least` or more, and of `most` at most."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        limits = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise wrong(call, name, value, f"a whole number {limits}", _number_meant(value, whole_only=True))
    return value


def flag(call: str, name: str, value: Any) -> Any:
    """Check that the value is `True` or `False`."""
    if not isinstance(value, bool):
        meant = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(str(value).lower())
        raise wrong(call, name, value, "True or False", "" if meant is None else f"did you mean {meant}?")
    return value


def text(call: str, name: str, value: Any, rule: str = "a str") -> Any:
    """Check that the value is a text, and not empty."""
    if not isinstance(value, str) or not value or _SURROGATE.search(value):
        is_meant = isinstance(value, int | float) and not isinstance(value, bool)
        hint = f"did you mean '{value}'?" if is_meant else ""
        if isinstance(value, str) and value:
            hint = "leave out the surrogates, which UTF-8 cannot hold"
        raise wrong(call, name, value, rule, hint)
    return value


def texts(call: str, name: str, value: Any) -> Any:
    """Check that the value is a tuple of texts, at least one."""
    if isinstance(value, str):
        raise wrong(call, name, value, "a tuple or list of str", f"did you mean ({value!r},)?")
    known = isinstance(value, tuple | list)
    items = tuple(cast("list[object]", value)) if known else ()
    if not items or not all(isinstance(item, str) and item for item in items):
        raise wrong(call, name, value, "a tuple or list of str, not empty")
    return value


def data(call: str, name: str, value: Any) -> Any:
    """Check that the value is bytes."""
    if not isinstance(value, bytes):
        hint = f"did you mean {briefly(value.encode('utf-8', 'backslashreplace'))}?" if isinstance(value, str) else ""
        raise wrong(call, name, value, "bytes", hint)
    return value


def aware(name: str, value: Any, call: str = "") -> Any:
    """Check that the value is an aware datetime, or `None`."""
    if value is not None and (not isinstance(value, datetime) or value.utcoffset() is None):
        hint = "add tzinfo=UTC" if isinstance(value, datetime) else ""
        hint = "write datetime.fromisoformat(…)" if isinstance(value, str) else hint
        if call:
            raise wrong(call, name, value, "an aware datetime", hint)
        raise ConfigurationError(f"{name}={value!r}: must be an aware datetime{f'; {hint}' if hint else ''}")
    if value is not None:
        try:
            value.astimezone(UTC)
        except OverflowError:
            raise ConfigurationError(f"{name}={value!r}: must be in the years 1 to 9999, as a time in UTC") from None
    return value


def timedelta_within(call: str, name: str, value: Any, most: timedelta) -> Any:
    """Check that the value is a timedelta, and neither above `most` nor below its negative."""
    timedelta_above(call, name, value)
    if not -most <= value <= most:
        raise wrong(call, name, value, f"a timedelta of at most {most.days} days, forward or back")
    return value


def timedelta_above(call: str, name: str, value: Any, *, least: timedelta | None = None) -> Any:
    """Check that the value is a timedelta, and above `least` if that is given."""
    is_meant = _is_number(value)
    if not isinstance(value, timedelta) or (least is not None and value <= least):
        rule = "a timedelta" if least is None else f"a timedelta above {least or 'zero'}"
        raise wrong(call, name, value, rule, f"did you mean timedelta(seconds={value})?" if is_meant else "")
    return value


def instance(call: str, name: str, value: Any, kind: type, example: str) -> Any:
    """Check that the value is of this class. `example`: how one is made, for the message."""
    if not isinstance(value, kind):
        raise wrong(call, name, value, f"a {kind.__name__}, such as {example}")
    return value


def run_ref(call: str, value: Any, name: str = "ref") -> RunRef:
    """Check that the value is a `RunRef`, or a `Run`, and return the ref."""
    value = as_ref(value)
    if isinstance(value, RunRef):
        return value
    hint = ""
    if isinstance(value, str):
        hint = "write RunRef.parse(…)" if value.count("/") == 3 else ""
    elif isinstance(getattr(value, "ref", None), RunRef):
        hint = "pass its .ref"
    raise wrong(call, name, value, "a RunRef, as add_run returns it, or a Run", hint)


def header_name(call: str, name: str, value: Any) -> Any:
    """Check that the value is the name of a header."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        hint = ""
        if isinstance(value, str) and _TOKEN.fullmatch(value.strip(": ")):
            hint = f"did you mean {value.strip(': ')!r}?"
        raise wrong(call, name, value, "the name of a header: letters, digits and '-'", hint)
    return value


def header_value(call: str, name: str, value: Any) -> Any:
    """Check that the value can be sent as the value of a header."""
    if not isinstance(value, str) or re.search(r"[\r\n\0\ud800-\udfff]", value):
        is_meant = isinstance(value, int | float) and not isinstance(value, bool)
        rule = "a str without line breaks and without surrogates, the text of a header"
        raise wrong(call, name, value, rule, f"did you mean '{value}'?" if is_meant else "")
    return value


def headers(call: str, name: str, value: Any) -> Any:
    """Check that the value is headers: a dict, or pairs of name and value."""
    rule = "a dict of headers, or pairs of name and value, all of them str"
    if not isinstance(value, tuple):
        raise wrong(call, name, value, rule)
    pairs = cast("tuple[object, ...]", value)
    for pair in pairs:
        if not isinstance(pair, tuple) or len(cast("tuple[object, ...]", pair)) != 2:
            raise wrong(call, name, pairs, rule)
        key, content = cast("tuple[object, object]", pair)
        header_name(call, name, key)
        header_value(call, name, content)
    return pairs


def optional(check: Check) -> Check:
    """Return a check that lets `None` pass."""

    def check_unless_none(call: str, name: str, value: Any, *more: Any, **named: Any) -> Any:
        return None if value is None else check(call, name, value, *more, **named)

    return check_unless_none


def checked(check: Check, *more: Any, **named: Any) -> Any:
    """Return the validator of a field of an attrs class."""

    def validate(owner: Any, attribute: Any, value: Any) -> None:
        check(type(owner).__name__, attribute.name, value, *more, **named)

    return validate


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -inf < value < inf


def _number_meant(value: Any, *, whole_only: bool = False) -> str:
    if isinstance(value, timedelta):
        return f"did you mean {value.total_seconds():g}?"
    if isinstance(value, float) and whole_only and value.is_integer():
        return f"did you mean {int(value)}?"
    if not isinstance(value, str):
        return ""
    with_unit = _LETTERS.fullmatch(value)
    amount, factor = (value.strip(), 1) if with_unit is None else (with_unit[1], _UNITS.get(with_unit[2].lower(), 0))
    try:
        meant = float(amount) * factor
    except ValueError:
        return ""
    if not factor or not isfinite(meant) or (whole_only and not meant.is_integer()):
        return ""
    return f"did you mean {int(meant) if meant.is_integer() else meant}?"

"""Dates of a plan in the forms that programs write, and what is wrong with a text that is no such date. Pure."""

import re
from datetime import datetime, timedelta
from functools import lru_cache

from fielding_async.core.dates import parse_timestamp, to_text

__all__ = ["date_problem", "read_plan_date"]

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d{1,18})?) ?(?:[Zz]|([+-]\d\d)(?::?(\d\d))?)", re.ASCII)
_NO_SECONDS = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d *(?:[Zz]|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_REGIONAL = re.compile(r"\d{1,4}[./]\d{1,2}[./]\d{1,4}\b.*", re.ASCII)
_ZONE_NAME = re.compile(r"(.*[\d zZ])\[?([A-Za-z][\w/+-]*)\]?", re.ASCII)
_NUMBER = re.compile(r"(\d{1,20})(?:[.,](\d{1,20}))?", re.ASCII)
_MICROSOFT = re.compile(r"\\?/Date\((-?\d+)", re.ASCII)
_UNITS = (("seconds", 1), ("milliseconds", 1_000), ("microseconds", 1_000_000), ("nanoseconds", 1_000_000_000))
_EPOCH = parse_timestamp("1970-01-01T00:00:00Z")
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 - a serial number has no zone
_SERIALS = range(20_000, 110_000)  # from 1954 to 2201
_FORM = 'yyyy-mm-dd"T"hh:mm:ss"Z"'
_SUCH_AS = "such as 2026-08-31T18:00:00Z"


@lru_cache(maxsize=1024)  # the rows of one plan share most of their dates
def read_plan_date(text: str) -> datetime:
    """Read an RFC 3339 date and time as programs write it. Raises `ValueError`.

    Beyond RFC 3339, a blank may stand in place of the T and before the offset, and an offset may be `±hh` or `±hhmm`
    (pandas, polars, pyarrow, DuckDB, PostgreSQL). There is always an offset or a Z, and never the name of a zone.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not a date of a plan")
    day, clock, hours, minutes = match.groups()
    return parse_timestamp(f"{day}T{clock}{hours}:{minutes or '00'}" if hours else f"{day}T{clock}Z")


def date_problem(value: object) -> tuple[str, str]:
    """Return what is wrong with a value that is no date: in words for all such values, and more about this one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return f"is not an RFC 3339 date and time, {_SUCH_AS}", ""
    text = str(value)
    number = _NUMBER.fullmatch(text)
    if number is not None:
        return _number_problem(int(number[1]), float(f"0.{number[2] or 0}"))
    if _reads(f"{text}Z"):
        return "has no time zone: add Z for UTC, or an offset such as +02:00", ""
    zone = _ZONE_NAME.fullmatch(text)
    if zone is not None and (_reads(zone[1].rstrip()) or _reads(f"{zone[1].rstrip()}Z")):
        if zone[2] in {"UTC", "GMT"}:
            return f"has {zone[2]} for its zone, as BigQuery, R and Ruby write it: write Z in its place", ""
        return "names its time zone: write its offset in its place, such as Z or +02:00", ""
    if _NO_SECONDS.fullmatch(text):
        return f"has no seconds: write hours, minutes, seconds and a zone, {_SUCH_AS}", ""
    if _DAY.fullmatch(text):
        return f"is a day without a time: write the time and its zone, {_SUCH_AS}", ""
    microsoft = _MICROSOFT.match(text)
    if microsoft is not None:
        return "is how Windows PowerShell writes a date in JSON: write $_.ToUniversalTime().ToString('o')", ""
    if _REGIONAL.fullmatch(text):
        return (
            f"is a date in a regional form: write UTC as {_FORM} (Excel: a cell format; PowerShell: ToString('o'))",
            "",
        )
    return f"is not an RFC 3339 date and time, {_SUCH_AS}", ""


def _reads(text: str) -> bool:
    try:
        read_plan_date(text)
    except ValueError:
        return False
    return True


def _number_problem(whole: int, fraction: float) -> tuple[str, str]:
    if whole in _SERIALS:
        stands_for = _FIRST_DAY + timedelta(days=whole, seconds=round(fraction * 86_400))
        rule = f"is a serial number of Excel, not a date: format the cells, in UTC, as {_FORM}"
        return rule, f"; it stands for {stands_for}, no zone"
    for unit, each in _UNITS:
        if 10**9 <= whole // each < 10**10:
            date = _EPOCH + timedelta(microseconds=whole * 1_000_000 // each)
            rule = f"is a number of {unit} since 1970, not an RFC 3339 date and time"
            remedy = ' (pandas: to_json(date_format="iso"))' if unit == "milliseconds" else ""
            return f"{rule}{remedy}", f": write {to_text(date)}"
    return f"is a number, not an RFC 3339 date and time, {_SUCH_AS}", ""

"""Timestamps as text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from fielding_async.sandbox.serving.dates import floor, parse, text

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("2030-01-01T12:00:00Z", "2030-01-01T12:00:00.000Z"),
        ("2030-01-01t12:00:00.1z", "2030-01-01T12:00:00.100Z"),
        ("2030-01-01T12:00:00.123456789+00:00", "2030-01-01T12:00:00.123456Z"),
    ],
)
def test_timestamps_are_read_and_written(raw: str, written: str) -> None:
    """RFC 3339 in UTC is read with any fraction, and written with three digits where they suffice."""
    assert text(parse(raw)) == written


@pytest.mark.parametrize(
    "raw",
    [
        None,
        5,
        "",
        "2030-01-01",
        "2030-01-01 12:00:00Z",
        "2030-01-01T12:00:00",
        "2030-01-01T12:00:00-01:00",
        "2030-01-01T24:00:01Z",
        "2030-02-29T12:00:00Z",
        "2030-01-01T12:00:00.Z",
        "\u0662030-01-01T12:00:00Z",
    ],
)
def test_other_timestamps_are_refused(raw: object) -> None:
    """Whatever is not RFC 3339, not in UTC, or not in the calendar is refused with a reason."""
    with pytest.raises(ValueError, match=r"must|calendar"):
        parse(raw)


def test_flooring_goes_down_in_utc() -> None:
    """A moment is cut down, never rounded up, whatever its zone, before 1970 too."""
    there = timezone(timedelta(hours=5))
    assert floor(datetime(2030, 1, 1, 5, 0, 0, 999, tzinfo=there), timedelta(milliseconds=1)) == datetime(
        2030, 1, 1, tzinfo=UTC
    )
    assert floor(datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC), SECOND).microsecond == 0

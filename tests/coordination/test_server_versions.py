"""What the reply to `INFO server` says of a server."""

import pytest

from fielding_async.coordination.client import OLDEST, read_server

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (b"# Server\r\nredis_version:7.2.4\r\nrun_id:ab12\r\n", (b"ab12", (7, 2, 4))),
        (b"redis_version:5.0.14\nrun_id:ab12\n", (b"ab12", (5, 0, 14))),
        (b"redis_version:unstable\r\nrun_id:ab12\r\n", (b"ab12", ())),
        (b"", (b"", ())),
    ],
)
def test_id_and_version_are_read(info: bytes, expected: tuple[bytes, tuple[int, ...]]) -> None:
    """A version that is no number is not compared."""
    assert read_server(info) == expected


def test_a_version_before_the_oldest_is_told_apart() -> None:
    """By its parts, and not as a text."""
    assert read_server(b"redis_version:6.0.16")[1] < OLDEST < read_server(b"redis_version:10.0.0")[1]

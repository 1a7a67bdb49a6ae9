"""The forms of Retry-After."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fielding_async.sandbox.serving.replies import retry_after_text

NOON = datetime(2030, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("seconds", "2"),
        ("decimal", "1.235"),
        ("date", "Tue, 01 Jan 2030 12:00:02 GMT"),
        ("absent", None),
        ("zero", "0"),
        (lambda wait: f"<{wait}>", "<1.2345>"),
    ],
)
def test_retry_after_takes_any_form(form: Any, text: str | None) -> None:
    """Retry-After is written as switched on, and never asks for less than the wait."""
    assert retry_after_text(form, 1.2345, NOON) == text

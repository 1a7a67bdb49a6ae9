"""Checks of an answer against what a document says of it."""

import json
from collections.abc import Mapping

from .document import Described, problems

__all__ = ["check_answer"]


def check_answer(described: Described, status: int, headers: Mapping[str, str], raw: bytes) -> None:
    """Fail unless status, headers and body of an answer are documented."""
    assert status in described.responses
    for name in described.headers(status):
        assert name in headers
    schema = described.schema(status)
    if schema is None:
        assert raw == b""
        return
    assert headers["Content-Type"].split(";")[0] == "application/json"
    assert problems(schema, json.loads(raw)) == []

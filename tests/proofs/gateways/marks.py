"""Marks of tests that need programs."""

import pytest

from .programs import missing

__all__ = ["needs"]


def needs(*programs: str) -> pytest.MarkDecorator:
    """Return the mark that skips a test where one of these programs is absent."""
    absent = missing(*programs)
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")

"""Fixtures of the sandbox's own tests."""

from collections.abc import AsyncIterator

import pytest

from .api import Api, serving


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """A sandbox with the usual behaviour, and a client for it."""
    async with serving() as api:
        yield api
        api.sandbox.assert_faults_used()

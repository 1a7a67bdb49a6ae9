"""What the tests of handles share."""

from collections.abc import Iterator

import pytest

from fielding_async.sandbox import Sandbox
from tests.tools.lists import Holds, holds


@pytest.fixture
def held(sandbox: Sandbox) -> Iterator[Holds]:
    """Hold the next request for an operation until it is released or the test ends."""
    with holds(sandbox) as made:
        yield made

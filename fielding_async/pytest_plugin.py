"""The pytest plugin: the fixture `fielding_sandbox`. The rest is imported only when a test uses it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .sandbox import Sandbox

__all__ = ["fielding_sandbox"]


@pytest.fixture
def fielding_sandbox() -> "Iterator[Sandbox]":
    """A started `Sandbox` in a thread of its own, empty and fresh for each test.

    The test fails at its end if a scripted fault was never used, or if an exception was raised inside the
    sandbox, however well the client handled it; both together are an `ExceptionGroup`.
    """
    from .sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox
        sandbox.assert_faults_used()  # inside, so that what was raised inside the sandbox is raised beside it

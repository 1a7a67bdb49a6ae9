"""A sandbox with live runs, and programs with its address in their environment."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
from attrs import frozen

from fielding_async import RunRef
from fielding_async.sandbox import Sandbox

from .programs import APPLICATIONS, ROOT, SECRET, Program

NEEDED = ("django", "litestar", "uvicorn", "celery", "rq", "nbclient", "ipykernel")  # the group `frameworks`
IS_INSTALLED = all(find_spec(name) for name in NEEDED)

collect_ignore_glob = [] if APPLICATIONS.exists() and IS_INSTALLED else ["test_*.py"]

Start = Callable[..., Program]


@frozen
class World:
    """A sandbox in a thread, and its runs, which are live."""

    box: Sandbox
    refs: list[RunRef]

    def writes(self) -> list[tuple[str, str]]:
        """Return what was applied: operation and run, in order of these, so that one that came twice is seen."""
        return sorted((write.operation, str(write.ref)) for write in self.box.history)


@pytest.fixture
def world() -> Iterator[World]:
    """A sandbox that asks for a token; scripted faults must be used up."""
    with Sandbox(require_token=SECRET) as box:
        yield World(box, [box.add_run("live") for _ in range(20)])
    box.assert_faults_used()


@pytest.fixture
def start(world: World) -> Iterator[Start]:
    """Start a program of the applications' folder; it is ended if the test does not."""
    settings = {
        "FIELDING_BASE_URL": world.box.url,
        "FIELDING_TOKEN": SECRET,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "default::ResourceWarning",
    }
    with ExitStack() as stack:

        def begin(command: list[str], **more: str) -> Program:
            program = Program(command, settings | more)
            stack.callback(program.kill)
            return program

        yield begin

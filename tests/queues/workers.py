"""Worker processes of a queue that run the documented commands, and an exchange and a plan for them to work on."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from fielding_async import Pause, RunRef
from fielding_async.plans import PlanStatus, PostgresPlans
from fielding_async.sandbox import Sandbox
from tests.proofs.docs.pages import ROOT
from tests.tools.waits import HANG

__all__ = ["PLAN", "Process", "status_of", "submit_pauses", "until"]

PLAN = "friday"


class Process:
    """A process with its children, whose output is read as it comes."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        path = os.pathsep.join((str(folder), str(ROOT.parent)))
        self._process = subprocess.Popen(
            list(words),
            cwd=folder,
            env={**os.environ, **environment, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._has_ended = False
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with self._more:
                    self._lines.append(line)
                    self._more.notify_all()
        with self._more:
            self._has_ended = True
            self._more.notify_all()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        with self._more:
            return "".join(self._lines)

    def wait_for(self, text: str) -> None:
        """Wait until it has printed this text."""
        with self._more:
            found = self._more.wait_for(lambda: any(text in line for line in self._lines) or self._has_ended, HANG)
            assert found, f"never printed: {text}"
        assert text in self.output, f"ended without {text!r}:\n{self.output}"

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Wait for its end; return its exit status."""
        status = self._process.wait(HANG)
        self._reader.join(HANG)
        return status

    def kill(self) -> None:
        """End it and its children at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.ended()


def run_to_end(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command to its end; return what it printed."""
    with Process(words, folder, environment) as process:
        status = process.ended()
        assert status == 0, process.output
        return process.output


def python(code: str) -> list[str]:
    """Return the words of a command that runs this code."""
    return [sys.executable, "-c", code]


def submit_pauses(url: str, sandbox: Sandbox, rows: int) -> list[RunRef]:
    """Submit a plan that pauses so many runs; return them."""
    refs = [sandbox.add_run("live") for _ in range(rows)]

    async def main() -> None:
        async with PostgresPlans(url) as plans:
            await plans.create_tables()
            await plans.submit([(ref, Pause()) for ref in refs], plan=PLAN)

    asyncio.run(main())
    return refs


def status_of(url: str) -> PlanStatus:
    """Return how far the plan is."""

    async def main() -> PlanStatus:
        async with PostgresPlans(url) as plans:
            return await plans.status(PLAN)

    return asyncio.run(main())


def until(url: str, *, ended: int) -> PlanStatus:
    """Wait until so many rows of the plan have ended."""
    by = time.monotonic() + HANG
    while (status := status_of(url)).counts.ended < ended:
        assert time.monotonic() < by, status
        time.sleep(0.1)
    return status

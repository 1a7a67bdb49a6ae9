"""The worker processes of a kill run: started, killed, stopped and continued, each with all its children."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import define

from tests.tools.waits import HANG

__all__ = ["Exchange", "Fleet", "Member"]

ROOT = Path(__file__).parents[3]


@define(eq=False)
class Member:
    """One worker process, with its children in a group of its own. `until`: when it is continued, if it is stopped."""

    number: int
    process: "subprocess.Popen[bytes]"
    until: float | None = None


class Fleet:
    """Worker processes that run one command, in `where`. What they print goes to files in `folder`.

    `is_restarted`: whether one that has ended by itself is started anew, as by whatever supervises it.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        where: Path = ROOT,
        name: str = "worker",
        is_restarted: bool = False,
    ) -> None:
        self._command = command
        self._environment = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join((str(where), str(ROOT)))}
        self._folder = folder
        self._where = where
        self._name = name
        self._is_restarted = is_restarted
        self._started = 0
        self.members: list[Member] = []
        self.ended: list[tuple[int, int]] = []
        self.restarted = 0

    def start(self) -> Member:
        """Start a worker."""
        self._started += 1
        with (self._folder / f"{self._name}-{self._started}.log").open("wb") as log:
            process = subprocess.Popen(
                list(self._command),
                cwd=self._where,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        member = Member(self._started, process)
        self.members.append(member)
        return member

    def signal(self, member: Member, number: int) -> None:
        """Send a signal to a worker and its children."""
        with suppress(ProcessLookupError):
            os.killpg(member.process.pid, number)

    def kill(self, member: Member) -> None:
        """End a worker at once, and wait for its end."""
        self.signal(member, signal.SIGKILL)
        member.process.wait(HANG)
        self.members.remove(member)

    def reap(self) -> None:
        """Note which workers have ended by themselves, and start others if that is so."""
        for member in [member for member in self.members if member.process.poll() is not None]:
            self.members.remove(member)
            if self._is_restarted:
                self.restarted += 1
                self.start()
            else:
                self.ended.append((member.number, member.process.returncode))

    def end(self) -> None:
        """Ask all workers to end, and wait until they have."""
        for member in self.members:
            with suppress(ProcessLookupError):
                member.process.terminate()
        for member in list(self.members):
            member.process.wait(HANG)
            self.members.remove(member)
            self.ended.append((member.number, member.process.returncode))

    def close(self) -> None:
        """Leave no process behind."""
        for member in list(self.members):
            self.kill(member)


class Exchange:
    """The exchange of `exchange`, in a process of its own."""

    def __init__(self, log: Path, *options: str) -> None:
        self.log = log
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proofs.plans.exchange", str(log), *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.url = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(HANG)
            self._errors.seek(0)
            raise AssertionError(f"the exchange has ended:\n{self._errors.read().decode()}")
        return line.strip()

    def applied(self) -> int:
        """Return how many writes were applied so far; all of them are in the log then."""
        assert self._process.stdin is not None
        self._process.stdin.write("?\n")
        self._process.stdin.flush()
        return int(self._line())

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(HANG)
        self._process.stdout.close()
        self._errors.close()

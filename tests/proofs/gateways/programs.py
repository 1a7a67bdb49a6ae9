"""Programs of the distribution, started on loopback ports and ended with the test."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path

from attrs import define, frozen

from tests.tools.waits import HANG

__all__ = ["Command", "Config", "StartError", "find", "free_port", "missing", "open_folder", "running"]

STARTS = 3
"""How often a program is started: another process may have taken the port that was free a moment ago."""


@frozen
class Command:
    """How a program is started, and ended: in good order, or by a kill.

    `leaves`: the shared memory that it leaves when killed, as a pattern.
    """

    arguments: Sequence[str]
    kill: bool = False
    leaves: str = ""


Config = Callable[[Path, int], Command]
"""Writes the configuration for a port into a folder, and returns the command."""


class StartError(Exception):
    """A program that ended before it listened; the text holds what it wrote."""


def find(program: str) -> str | None:
    """Return the path of a program, also of one in a folder that only root's PATH has."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin")


def missing(*programs: str) -> list[str]:
    """Return which of these programs are not installed."""
    return [program for program in programs if find(program) is None]


def free_port() -> int:
    """Return a port of the loopback address that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@define
class _Started:
    command: Command
    process: subprocess.Popen[bytes]
    port: int

    async def end(self) -> None:
        if self.command.kill:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # its session is its own
        else:
            self.process.terminate()
        await asyncio.to_thread(self.process.wait, HANG)
        if self.command.leaves:
            for path in Path("/dev/shm").glob(self.command.leaves):
                path.unlink(missing_ok=True)


@asynccontextmanager
async def running(config: Config, folder: Path | None = None) -> AsyncIterator[int]:
    """Run a program in the foreground, and yield its port once it accepts connections there.

    `folder`: where its files are, by default a folder that goes with it. What it wrote is printed when the test fails.
    """
    with nullcontext(folder) if folder else open_folder() as folder:
        started = await _start(config, folder)
        try:
            yield started.port
        except BaseException:
            print(_written(folder))
            raise
        finally:
            await started.end()


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a temporary folder that can be read by the users that daemons change to."""
    with tempfile.TemporaryDirectory(prefix="gateway-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


async def _start(config: Config, folder: Path) -> _Started:
    for _ in range(STARTS):
        port = free_port()
        command = config(folder, port)
        process = _spawn(command, folder)
        started = _Started(command, process, port)
        try:
            while process.poll() is None:
                if await _accepts(port):
                    return started
                await asyncio.sleep(0.01)  # there is no event for "listens now"
        except BaseException:
            await started.end()
            raise
    raise StartError(_written(folder))


def _spawn(command: Command, folder: Path) -> subprocess.Popen[bytes]:
    # where this is possible, the program ends with us, however we end
    prefix = ["setpriv", "--pdeathsig", "KILL" if command.kill else "TERM"] if find("setpriv") else []
    with (folder / "output.log").open("ab") as output:
        return subprocess.Popen(
            [*prefix, *command.arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _written(folder: Path) -> str:
    paths = [*folder.glob("*.conf"), folder / "output.log"]
    return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-4000:]}" for path in paths)

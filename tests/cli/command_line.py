"""The command line as the tests run it: in this process, or in one of its own."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from attrs import frozen

from fielding_async.sandbox import Sandbox

SECRET = "secret-token-of-the-test"

HANG = 600.0
"""Seconds after which a wait for an event fails: it ends tests that hang, and measures nothing."""


@frozen
class Ended:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON objects on stdout, which must hold nothing else."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Ended]


def environment(box: Sandbox | None = None, **more: str) -> dict[str, str]:
    """The environment for a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FIELDING_", "COLUMNS"))}
    settings = {"FIELDING_BASE_URL": box.url, "FIELDING_TOKEN": SECRET} if box else {}
    return kept | settings | more


def command(*arguments: object) -> list[str]:
    """The command line as a process, with every warning an error."""
    return [sys.executable, "-W", "error", "-m", "fielding_async", *map(str, arguments)]


@contextmanager
def process(*arguments: object, env: dict[str, str], **more: Any) -> "Iterator[subprocess.Popen[str]]":
    """Start the command line in a process of its own; it is ended if the test does not."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | more
    with subprocess.Popen(command(*arguments), env=env, text=True, **pipes) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


def end_of(child: "subprocess.Popen[str]") -> Ended:
    """Wait for a process, which must not show a traceback."""
    out, err = child.communicate(timeout=HANG)
    assert "Traceback" not in err
    return Ended(child.returncode, out, err)


def line_with(child: "subprocess.Popen[str]", text: str) -> str:
    """Read lines of stderr up to one with a text in it, and return that."""
    assert child.stderr is not None
    for line in child.stderr:
        if text in line:
            return line
    raise AssertionError(text)


@contextmanager
def unfinished_input() -> Iterator[int]:
    """A pipe for the standard input of a process: it holds an empty line, and does not end."""
    reading, writing = os.pipe()
    os.write(writing, b"\n")
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def wait_until_read(reading: int) -> None:
    """Wait until a process has read all that is in a pipe, and so waits for more."""
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    until = time.monotonic() + HANG
    while any(fcntl.ioctl(reading, termios.FIONREAD, bytes(4))):
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.1)  # until it is in its next call of read, where a signal ends it


@contextmanager
def full_pipe() -> Generator[tuple[int, Callable[[], None]]]:
    """A pipe that nobody reads, with room for 4 KB: its writing end, and what waits until it is full."""
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    reading, writing = os.pipe()

    def held() -> int:
        return int.from_bytes(fcntl.ioctl(reading, termios.FIONREAD, bytes(4)), sys.byteorder)

    try:
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(4096))
        os.set_blocking(writing, True)
        os.read(reading, 4096)
        before = held()

        def wait_until_written() -> None:
            until = time.monotonic() + HANG
            while held() < before + 3000:
                assert time.monotonic() < until
                time.sleep(0.01)
            time.sleep(0.3)  # until it is in the write that waits

        yield writing, wait_until_written
    finally:
        os.close(reading)
        os.close(writing)


def terminal() -> tuple[int, int]:
    """Both ends of a pseudo-terminal, ours and that of a process; skips the test where there is none."""
    pty = pytest.importorskip("pty", reason="needs pseudo-terminals")
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"needs a pseudo-terminal: {error}")
    return ours, theirs


def shown_on(ours: int, text: str | None = None) -> str:
    """Read what is shown on a terminal, up to a text or (`None`) until the process has closed it."""
    shown = b""
    until = time.monotonic() + HANG
    while text is None or text not in shown.decode(errors="replace"):
        assert time.monotonic() < until, shown
        if not select.select([ours], [], [], 1)[0]:
            continue
        try:
            data = os.read(ours, 65_536)
        except OSError:  # the other side is closed
            break
        if not data:
            break
        shown += data
    return shown.decode(errors="replace")

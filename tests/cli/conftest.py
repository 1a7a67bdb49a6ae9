"""A sandbox in a thread, and the command line pointed at it: in this process, or in one of its own."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import frozen

from fielding_async.__main__ import main
from fielding_async.sandbox import Sandbox

SECRET = "secret-token-of-the-test"


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


@pytest.fixture(autouse=True)
def _signals_are_heard() -> Iterator[None]:
    """Undo what a shell does to its background jobs: a child that inherits an ignored SIGINT goes on ignoring it."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A sandbox that asks for a token; scripted faults must be used up."""
    with Sandbox(require_token=SECRET) as sandbox:
        yield sandbox
    sandbox.assert_faults_used()


@pytest.fixture
def cli(box: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The console entry in this process, with the settings of the sandbox."""
    for name in [name for name in os.environ if name.startswith("FIELDING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIELDING_BASE_URL", box.url)
    monkeypatch.setenv("FIELDING_TOKEN", SECRET)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: object, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "argv", ["fielding", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = main()
        captured = capsys.readouterr()
        assert SECRET not in captured.out + captured.err
        assert "Traceback" not in captured.err
        return Ended(status, captured.out, captured.err)

    return run


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

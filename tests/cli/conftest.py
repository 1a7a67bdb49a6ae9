"""A sandbox in a thread, and the command line in this process with that sandbox's settings."""

import io
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from fielding_async.__main__ import main
from fielding_async.sandbox import Sandbox
from tests.cli.command_line import SECRET, Cli, Ended


@pytest.fixture(autouse=True)
def _signals_are_heard() -> Iterator[None]:
    """Undo what a shell does to its background jobs, and nohup: a child that inherits an ignored signal ignores it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    if before[signal.SIGINT] is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if before[signal.SIGHUP] is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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

"""Each mistake of the table meets its message, word for word."""

import asyncio
import inspect
import os
import re
from pathlib import Path

import pytest

from fielding_async import FieldingSession
from fielding_async.__main__ import main

from .table import MISTAKES, Mistake

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("FIELDING_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def _matches(message: str, said: str) -> bool:
    return (
        re.fullmatch(".*?".join(re.escape(part) for part in message.split("…")), said.replace("…", "..."), re.DOTALL)
        is not None
    )


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what)
def test_each_mistake_meets_its_message(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what is wrong, the rule, and what to do."""
    for name, value in mistake.settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any class
        _make(mistake)
    said = getattr(caught.value, "message", None) or str(caught.value)
    assert _matches(mistake.message, said), said


def _make(mistake: Mistake) -> None:
    if mistake.settings or not inspect.signature(mistake.does).parameters:
        mistake.does(None)
        return
    made = mistake.does(FieldingSession("t", base_url="http://127.0.0.1:9/v1"))
    if inspect.isawaitable(made):
        made.close()  # type: ignore[attr-defined]
        asyncio.run(_entered(mistake))


async def _entered(mistake: Mistake) -> None:
    async with FieldingSession("t", base_url="http://127.0.0.1:9/v1") as session:
        made = mistake.does(session)
        assert inspect.isawaitable(made)
        await made


def test_there_are_forty_mistakes_and_more() -> None:
    """The table is as long as it is said to be, and no mistake is there twice."""
    assert len({mistake.what for mistake in MISTAKES}) == len(MISTAKES) >= 40


COMMANDS = {
    "runn": "fielding: No such command 'runn'. Did you mean 'run'?",
    "list runs 101": "fielding list runs: '101' is not of the form ACCOUNT/PROJECT: give 101/PROJECT. `fielding list"
    " projects ACCOUNT` shows the projects.",
    "list runs 101/abc": "fielding list runs: 'abc' is not a project id (26 characters out of 0-9 and A-Z). `fielding"
    " list projects 101` shows them.",
    "run pause x": "fielding run pause: Missing --account and --project and --target-group. Or name the run as"
    " ACCOUNT/PROJECT/TARGET_GROUP[/RUN], in one argument.",
    "run pause 101/P/T/R": "fielding run pause: project_id='P': must be a str of 26 characters out of 0-9 and A-Z",
    "sandbox --rate x": "fielding sandbox: Invalid value for '--rate': 'x' is not a number above 0",
    "sandbox --port 99999": "fielding sandbox: Invalid value for '--port': '99999' is not a whole number from 0 to"
    " 65535",
    "sandbox --runs 1e9": "fielding sandbox: Invalid value for '--runs': '1e9' is not a whole number from 0 to 100000",
    "sandbox --fault cutt": "fielding: fault='cutt': must be the name of a fault; did you mean 'Cut'?",
    "sandbox --jitter 1": "fielding: --jitter: needs --latency: give both, or leave it out",
    "apply nowhere.csv": "fielding: nowhere.csv: cannot be read: No such file or directory: name a file that can be"
    " read",
    "apply - --yes": "fielding: a plan from standard input needs --journal FILE, so that it can be continued: give one",
    "batch pause": "fielding: no target group ids: name some, or a file of them with --from",
    "batch pause 101/x": "fielding: argument: '101/x' is not of the form ACCOUNT/PROJECT/TARGET_GROUP: give the three"
    " ids in one argument",
    "journal show nowhere": "fielding: journal='nowhere': cannot be read: No such file or directory: name a journal",
    "doctor --jsno": "fielding doctor: No such option '--jsno'. Did you mean '--json'?",
    "list accounts": "fielding: no token: set FIELDING_TOKEN, or both FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_mistake_on_the_command_line_meets_its_message(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is on stderr, and the exit status is 2."""
    monkeypatch.setattr("sys.argv", ["fielding", *command.split()])
    assert main() == 2
    assert capsys.readouterr().err.splitlines()[0] == COMMANDS[command]

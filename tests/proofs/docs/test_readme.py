"""What the README shows is run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from fielding_async.cli.app import cli
from fielding_async.sandbox import Sandbox
from tests.tools.waits import HANG

README = Path(__file__).parents[3] / "README.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.skipif(not README.exists(), reason="not run from a checkout"),
]


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_first_example_runs(fielding_sandbox: Sandbox) -> None:
    """The example at the top does what it says, against the sandbox."""
    example = blocks("python")[0]
    _, project, group, run = re.findall(r'(\d+), "(\w{26})", "(\w{26})", "(\w{26})"', example)[0]
    fielding_sandbox.add_run(
        "scheduled", account_id=101, project_id=project, target_group_id=group, fielding_run_id=run
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        env={"FIELDING_TOKEN": "any-token", "FIELDING_BASE_URL": fielding_sandbox.url},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    first, second = ended.stdout.splitlines()
    assert re.fullmatch(r"accepted 1 0 [0-9a-f]{32}", first)
    assert second == f"('{group}',) () ()"


def test_the_test_example_passes(tmp_path: Path) -> None:
    """The example of a test with the fixture passes as it stands, with no settings of pytest at all."""
    (tmp_path / "test_example.py").write_text(blocks("python")[1])
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(tmp_path), str(tmp_path)],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert "1 passed" in ended.stdout, ended.stdout


def test_the_commands_exist() -> None:
    """Every command of the command line that the README shows is one."""
    lines = [line.split("#")[0].split() for line in blocks("sh")[2].splitlines()]
    for words in lines:
        assert words[0] == "fielding"
        command = [word for word in words[1:3] if word.isalpha()]
        options = [word for word in words if word.startswith("--")]
        shown = CliRunner().invoke(cli, [*command, "--help"])
        assert shown.exit_code == 0, shown.output
        for option in options:
            assert option in shown.output

"""The compose file is one, and the commands in it are those of the command line."""

import re
import shutil
import subprocess
from typing import Any

import click
import pytest

from fielding_async.cli.app import cli

from .conftest import EXAMPLES

FOLDER = EXAMPLES / "beyond"
COMPOSE = FOLDER / "compose.yaml"


def services() -> dict[str, Any]:
    """Return the services of the file."""
    yaml = pytest.importorskip("yaml")
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def assert_is_command(words: list[str]) -> None:
    """Follow words to a command, all of whose options it knows."""
    command: click.Command = cli
    rest = list(words)
    while isinstance(command, click.Group):
        name = rest.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"no command {name} in {words}"
        command = found
    options = {text for parameter in command.params for text in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options


def test_every_command_is_one_of_the_command_line() -> None:
    """Those of the services, of the script that makes the plan, and of the comment at the top."""
    ours = [one["command"] for one in services().values() if "Dockerfile" in str(one.get("build"))]
    script = "\n".join(text for command in ours for text in command if "\n" in text)
    shown = re.findall(r"run --rm worker-1 (.*)", COMPOSE.read_text())
    written = [line.split(">")[0].split("|")[0] for line in re.findall(r"fielding (.*)", script)]
    commands = [command for command in ours if "\n" not in str(command[0])]
    assert len(commands) == 3
    assert len(written) == 4
    for words in [*commands, *(text.split() for text in (*written, *shown))]:
        assert_is_command(words)


def test_both_workers_are_alike_and_share_plan_and_pace() -> None:
    """They differ in nothing, and have the addresses of both stores."""
    found = services()
    assert found["worker-1"] == found["worker-2"]
    assert {"FIELDING_PLANS_URL", "FIELDING_SHARED_URL"} <= set(found["worker-1"]["environment"])


def test_docker_compose_takes_the_file() -> None:
    """Docker's own tool reads it, where there is one; that needs no engine."""
    if shutil.which("docker-compose") is None:
        pytest.skip("not installed: docker-compose")
    command = ["docker-compose", "-f", str(COMPOSE), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

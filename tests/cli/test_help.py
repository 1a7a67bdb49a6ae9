"""Help texts, usage errors, and what no option may ever be."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from fielding_async.__about__ import __version__
from fielding_async.cli.app import cli as whole

from .command_line import Cli


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


COMMANDS = dict(_commands(whole))


@pytest.mark.parametrize("path", [(), *COMMANDS], ids=" ".join)
def test_every_help_text_is_complete_and_fits_80_columns(path: tuple[str, ...]) -> None:
    """Each command explains itself, every option too, with an example, within 80 columns."""
    result = CliRunner().invoke(whole, [*path, "--help"], prog_name="fielding", terminal_width=80)
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    command = COMMANDS.get(path, whole)
    if not isinstance(command, click.Group):
        assert "Example" in result.output
    assert all(option.help for option in command.params if isinstance(option, click.Option))


PATHS = [
    (path, parameter.opts[0] if isinstance(parameter, click.Option) else parameter.metavar)
    for path, command in COMMANDS.items()
    for parameter in command.params
    if isinstance(parameter.type, click.Path)
]


@pytest.mark.parametrize(("path", "name"), PATHS, ids=str)
def test_an_empty_path_is_refused(path: tuple[str, ...], name: str) -> None:
    """It is what a variable of a shell that is not set leaves, and would be the folder itself: exit 2, and its name."""
    words = [name, "", "x", "y"] if name.startswith("-") else [""]
    result = CliRunner().invoke(whole, [*path, *words])
    assert result.exit_code == 2
    assert f"Invalid value for '{name}': it is empty: name a file" in result.output
    assert len(PATHS) >= 9


def test_no_option_takes_a_secret() -> None:
    """There is no option for a token or a secret: they come from the environment, or from a file."""
    options = {
        option: path for path, command in COMMANDS.items() for parameter in command.params for option in parameter.opts
    }
    assert {name for name in options if "token" in name or "secret" in name} == {
        *("--require-token", "--control-token-file", "--token-life"),
    }


def test_the_version_is_told(cli: Cli) -> None:
    """`--version` names the program and its version."""
    assert cli("--version").out == f"fielding, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "No such command 'nope'"),
        (["run", "nope"], "No such command 'nope'"),
        (["run", "get", "--token", "x"], "there is no option --token: set the environment variable FIELDING_TOKEN."),
        (["run", "get", "--tokn", "x"], "No such option"),
        (["sandbox", "--port", "99999"], "--port"),
        (["sandbox", "--rate", "0"], "--rate"),
        (["demo", "--runs", "0"], "--runs"),
    ],
)
def test_usage_errors_are_two_lines_on_stderr(cli: Cli, arguments: list[str], said: str) -> None:
    """A usage error names the problem and where to find help, and exits with 2."""
    ended = cli(*arguments)
    assert (ended.status, ended.out) == (2, "")
    first, second = ended.err.splitlines()
    assert said in first
    assert second.endswith("--help'.")

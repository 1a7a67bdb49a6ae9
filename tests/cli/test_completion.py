"""Shell completion: the scripts load in their shells, and complete commands, actions, options and files."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command_line import environment

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"

BASH = r"""
eval "$(_FIELDING_COMPLETE=bash_source fielding)"
complete -p fielding
answer() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    _fielding_completion fielding
    echo "${COMPREPLY[*]}"
}
answer fielding dr
answer fielding batch status pa
answer fielding draft schedule --st
answer fielding run update --on-conflict re
"""
ZSH = r"""
autoload -Uz compinit && compinit -u
eval "$(_FIELDING_COMPLETE=zsh_source fielding)"
print -r -- "${_comps[fielding]}"
"""
FISH = """
_FIELDING_COMPLETE=fish_source fielding | source
complete --do-complete 'fielding batch status pa'
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The search path of a shell in which `fielding` is this command line."""
    script = tmp_path / "fielding"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fielding_async "$@"\n')
    script.chmod(0o755)
    return f"{tmp_path}:/usr/local/bin:/usr/bin:/bin"


def said(shell: str, arguments: list[str], script: str, path: str, home: Path) -> list[str]:
    """Run a script in a shell, which must say nothing on stderr, and return the lines that it printed."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    env = environment(PATH=path, HOME=str(home), PYTHONPATH=str(Path(__file__).parents[2]))
    done = subprocess.run(
        [program, *arguments, "-c", script], capture_output=True, text=True, env=env, check=False, timeout=600
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_bash_completes(path: str, tmp_path: Path) -> None:
    """The script for bash loads, and completes commands, their choices and their options."""
    lines = said("bash", ["--norc", "--noprofile"], BASH, path, tmp_path)
    assert lines[0].endswith("-F _fielding_completion fielding")
    assert lines[1:] == ["draft", "pause", "--start", "reapply"]


def test_zsh_loads_its_script(path: str, tmp_path: Path) -> None:
    """The script for zsh loads, and completes `fielding`."""
    assert said("zsh", ["-f"], ZSH, path, tmp_path) == ["_fielding_completion"]


def test_fish_completes(path: str, tmp_path: Path) -> None:
    """The script for fish loads, and completes an action."""
    assert said("fish", ["--no-config"], FISH, path, tmp_path) == ["pause"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_and_its_line_on_the_page(shell: str, path: str, tmp_path: Path) -> None:
    """The program prints the script that the page tells the shell to load."""
    script = said("sh", [], f"_FIELDING_COMPLETE={shell}_source fielding", path, tmp_path)
    assert any(f"_FIELDING_COMPLETE={shell}_complete" in line for line in script)
    if PAGE.exists():
        assert f"_FIELDING_COMPLETE={shell}_source fielding" in PAGE.read_text(encoding="utf-8")

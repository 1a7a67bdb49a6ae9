"""What the examples' README says of their commands and answers is so."""

import re
import subprocess
import sys

import pytest
import webapp

from tests.tools.waits import HANG

from .conftest import EXAMPLES

README = (EXAMPLES / "README.md").read_text()
NAMES = ["webapp.py", "orchestrate.py", "batch_tool.py"]


@pytest.mark.parametrize("name", NAMES)
def test_every_option_shown_is_one(name: str) -> None:
    """`--help` works without settings, and knows all options that the README shows."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=True).stdout
    lines = [line for line in README.splitlines() if f"examples/{name}" in line]
    assert len(lines) == 2
    for option in re.findall(r"--[a-z]+", " ".join(lines)):
        assert option in shown


def test_every_answer_of_the_web_app_is_in_the_table() -> None:
    """Status and code of each answer stand in one line of the table, but for bugs and for the app's own stopping."""
    rows = [line for line in README.splitlines() if line.startswith("|")]
    for status, code, _ in webapp.ANSWERS.values():
        found = [row for row in rows if f"`{code}`" in row and str(status) in row]
        assert len(found) == (code not in {"internal", "stopping"}), code


def test_all_examples_are_shown() -> None:
    """No example is left out."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*NAMES, "webapp_demo.py"}

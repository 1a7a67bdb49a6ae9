"""What the examples' README says of their commands and answers is so."""

import re
import subprocess
import sys

import pytest
from webapp_parts.answers import KINDS

from tests.tools.waits import HANG

from .conftest import EXAMPLES

README = (EXAMPLES / "README.md").read_text()
NAMES = ["webapp.py", "fastapi_app.py", "orchestrate.py", "batch_tool.py"]


@pytest.mark.parametrize("name", NAMES)
def test_every_option_shown_is_one(name: str) -> None:
    """`--help` works without settings, and knows all options that the README shows."""
    if name == "fastapi_app.py":
        pytest.importorskip("fastapi", reason="needs FastAPI")
        pytest.importorskip("uvicorn", reason="needs Uvicorn")
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=True).stdout
    lines = [line for line in README.splitlines() if f"examples/{name}" in line]
    assert len(lines) == 2
    for option in re.findall(r"--[a-z]+", " ".join(lines)):
        assert option in shown


def test_every_answer_of_the_web_app_is_in_the_table() -> None:
    """Status and word of each answer stand in one line of the table."""
    rows = [line for line in README.splitlines() if line.startswith("|")]
    for kind in KINDS.values():
        assert len([row for row in rows if f"`{kind.error}`" in row and str(kind.status) in row]) == 1, kind


def test_all_examples_are_shown() -> None:
    """No example is left out."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*NAMES, "webapp_demo.py"}

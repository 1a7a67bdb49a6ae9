"""What the README says beside its blocks, which `test_pages.py` runs: that commands exist, and where links lead."""

import re
import tomllib

import pytest
from click.testing import CliRunner

from fielding_async.cli.app import cli

from .pages import README, ROOT, blocks

pytestmark = [pytest.mark.once, pytest.mark.skipif(not ROOT.exists(), reason="not run from a checkout")]


def test_the_commands_exist() -> None:
    """Every command of the command line that the README shows is one, with these options."""
    lines = [line.split("#")[0].split() for block in blocks(README) if block.language == "sh"
             for line in block.text.splitlines() if line.startswith("fielding ")]  # fmt: skip
    assert len(lines) > 5
    for words in lines:
        command = [word for word in words[1:3] if word.isalpha()]
        options = [word for word in words if word.startswith("--")]
        shown = CliRunner().invoke(cli, [*command, "--help"])
        assert shown.exit_code == 0, shown.output
        for option in options:
            assert option in shown.output


def test_links_lead_to_files_from_anywhere() -> None:
    """Every link is absolute, as the README is shown on package indexes too, and leads to a file that exists."""
    links = re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    assert links
    project = tomllib.loads((README.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    files = f"{project['urls']['Homepage']}/blob/main/"
    for link in links:
        assert link.startswith(files), link
        assert (README.parent / link.removeprefix(files)).exists(), link

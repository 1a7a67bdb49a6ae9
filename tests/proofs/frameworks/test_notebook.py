"""The notebook of the how-to, executed by the command of its page."""

import json
import shutil
from pathlib import Path

import pytest

from .conftest import Start, World
from .programs import APPLICATIONS, typed

pytestmark = [pytest.mark.slow, pytest.mark.once]


def test_the_notebook_runs(world: World, start: Start, tmp_path: Path) -> None:
    """Every cell runs; each live run is paused once, and what the cells show is what the sandbox applied."""
    copy = tmp_path / "notebook.ipynb"
    shutil.copy(APPLICATIONS / "notebook.ipynb", copy)
    assert not any(cell.get("outputs") for cell in json.loads(copy.read_text())["cells"])
    command = [str(copy) if word == copy.name else word for word in typed("jupyter.md", "jupyter execute")]
    run = start(command, IPYTHONDIR=str(tmp_path), JUPYTER_DATA_DIR=str(tmp_path), JUPYTER_CONFIG_DIR=str(tmp_path))
    assert run.ended() == 0
    assert world.writes() == sorted(("pause", str(ref)) for ref in world.refs)
    executed = json.loads((tmp_path / "executed.ipynb").read_text())
    shown = "".join("".join(output.get("text", [])) for cell in executed["cells"] for output in cell.get("outputs", []))
    assert shown.count("accepted") == len(world.refs) - 1
    assert shown.count("already") == 1

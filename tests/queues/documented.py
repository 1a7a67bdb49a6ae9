"""The files and the commands that stand in docs/how-to/plan-on-many-hosts.md, as the tests run them."""

import shlex
import sys
from pathlib import Path

from tests.proofs.docs.pages import ROOT, blocks

__all__ = ["PAGE", "command", "write_app"]

PAGE = ROOT / "how-to" / "plan-on-many-hosts.md"
_PROGRAMS = {"procrastinate", "taskiq"}
_LINE = "plan_tasks = add_plan_tasks("


def write_app(name: str, folder: Path, *, options: str = "", before: str = "") -> None:
    """Write a file of the page into a folder.

    `options`: more arguments for `add_plan_tasks`, for tests that cannot wait for as long as the page has it; `before`:
    lines that they need.
    """
    (text,) = [block.text for block in blocks(PAGE) if block.about == f"file {name}"]
    head, call, tail = text.rpartition(_LINE)
    argument, close, rest = tail.partition(")")
    assert call
    assert close
    more = f", {options}" if options else ""
    (folder / name).write_text(f"{head}{before}{call}{argument}{more}{close}{rest}")


def command(start: str) -> list[str]:
    """Return the one command of the page that begins so, run by this Python."""
    lines = [line for block in blocks(PAGE) if block.language == "sh" for line in block.text.splitlines()]
    (line,) = [line for line in lines if line.startswith(start)]
    program, *arguments = shlex.split(line)
    assert program in _PROGRAMS
    return [sys.executable, "-m", program, *arguments]

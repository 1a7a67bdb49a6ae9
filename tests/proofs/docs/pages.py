"""The pages of the documentation as blocks of code, and what runs them.

Blocks are run as a reader types them, in the order of the page. Nothing is lent to them: a page defines its own names,
exports its own settings and starts its own sandbox.

- `sh` goes to a terminal (`terminal.py`) in an empty folder, where `fielding` and `python` are installed.
- `python` goes, line by line, to the interactive interpreter (`repl.py`) of the page, as in `python -m asyncio`.
- Python with tests goes to pytest.
- A block of `text` behind one that runs is what it prints; in it `…` stands for anything.

A comment before a block says what is special about it, and is not seen by readers:

- `<!-- not run: why -->`;
- `<!-- page: file NAME -->`: the block is a file, for a later block to use;
- `<!-- page: serves -->`: a second terminal, in which the command runs until the page has ended.

Two things are not as the page has them: the port, of which a free one is taken, and the addresses of servers.
"""

import re
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[3] / "docs"
PAGES = sorted(ROOT.rglob("*.md"))
README = ROOT.parent / "README.md"
RUNNABLE = {"python", "sh"}
SHOWN = {"text", "json", "csv", "yaml"}
_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>.*?) -->\n)?```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@frozen
class Block:
    """A fenced block. `kind` and `about` are from the comment before it; `printed` is the block of text after it."""

    number: int
    language: str
    text: str
    line: int
    kind: str = ""
    about: str = ""
    printed: str | None = None

    @property
    def is_program(self) -> bool:
        """Whether it brings an event loop of its own. A reader makes it a file."""
        return self.language == "python" and "asyncio.run(" in self.text and not self.is_test

    @property
    def is_test(self) -> bool:
        """Whether it is for pytest."""
        return self.language == "python" and re.search(r"^(async )?def test_", self.text, re.MULTILINE) is not None


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, those that are directives of Sphinx excepted."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in _BLOCK.finditer(text):
        language = match["language"].strip()
        if language.startswith("{"):
            continue
        if language == "text" and found and found[-1].language in RUNNABLE:
            last = found[-1]
            found[-1] = Block(last.number, last.language, last.text, last.line, last.kind, last.about, match["text"])
        kind, _, about = (match["mark"] or "").partition(":")
        line = text.count("\n", 0, match.start("text"))
        found.append(Block(len(found), language, match["text"], line, kind, about.strip()))
    return found


def matches(pattern: str, printed: str) -> bool:
    """Whether what was printed is as shown; `…` stands for anything."""
    parts = [re.escape(part) for part in pattern.strip().split("…")]
    return re.fullmatch(".*?".join(parts), printed.strip(), re.DOTALL) is not None

"""The directive `fielding-notebook`: the cells of a notebook, from the file itself, but for the first one."""

import json
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Notebook(SphinxDirective):
    """The text of cells of Markdown, and a block for each cell of code."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Read the cells."""
        _, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(path)
        made: list[nodes.Node] = []
        for cell in json.loads(Path(path).read_text(encoding="utf-8"))["cells"][1:]:
            text = "".join(cell["source"])
            if cell["cell_type"] == "code":
                block = nodes.literal_block(text, text)
                block["language"] = "python"
                made.append(block)
            else:
                part = nodes.Element()
                self.state.nested_parse(StringList(text.splitlines(), path), 0, part)
                made += part.children
        return made


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it to Sphinx."""
    app.add_directive("fielding-notebook", Notebook)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The directive `fielding-commands`: the reference of the command line, from the commands themselves."""

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from help_texts import help_texts
from sphinx.application import Sphinx


class Commands(Directive):
    """A section for each command."""

    has_content: ClassVar[bool] = False

    def run(self) -> list[nodes.Node]:
        """Make the sections."""
        sections: list[nodes.Node] = []
        for name, text in help_texts():
            section = nodes.section(ids=[name.replace(" ", "-")], names=[name])
            section += nodes.title("", "", nodes.literal(text=name))
            block = nodes.literal_block(text, text)
            block["language"] = "text"
            section += block
            self.state.document.note_explicit_target(section)
            sections.append(section)
        return sections


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it to Sphinx."""
    app.add_directive("fielding-commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

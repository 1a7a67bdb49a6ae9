"""The directive `fielding-commands`: the reference of the command line, from the commands themselves."""

from typing import Any, ClassVar

import click
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from fielding_async.cli.app import cli

_WIDTH = 80


def commands() -> list[tuple[str, str]]:
    """Return each command's full name and its help, as a terminal shows it, in the order of the help."""
    found: list[tuple[str, str]] = []

    def visit(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(command, info_name=name, parent=parent, terminal_width=_WIDTH, max_content_width=_WIDTH)
        found.append((context.command_path, command.get_help(context)))
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                visit(command.get_command(context, child) or click.Command(child), child, context)

    visit(cli, "fielding", None)
    return found


class Commands(Directive):
    """A section for each command."""

    has_content: ClassVar[bool] = False

    def run(self) -> list[nodes.Node]:
        """Make the sections."""
        sections: list[nodes.Node] = []
        for name, text in commands():
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

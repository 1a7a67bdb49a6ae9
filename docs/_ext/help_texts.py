"""The help of every command, as a terminal of 80 columns shows it."""

import click

from fielding_async.cli.app import cli

_WIDTH = 80


def help_texts() -> list[tuple[str, str]]:
    """Return each command's full name and its help, in the order in which the help names them."""
    found: list[tuple[str, str]] = []

    def visit(command: click.Command, name: str, parent: click.Context | None) -> None:
        widths = {"terminal_width": _WIDTH, "max_content_width": _WIDTH}
        context = command.make_context(name, [], parent=parent, resilient_parsing=True, **widths)
        found.append((context.command_path, command.get_help(context)))
        if isinstance(command, click.Group):
            for child_name in command.list_commands(context):
                child = command.get_command(context, child_name)
                if child is not None:
                    visit(child, child_name, context)

    visit(cli, "fielding", None)
    return found

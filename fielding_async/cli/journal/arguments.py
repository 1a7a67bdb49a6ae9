"""The arguments that commands have which make a file of a journal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from fielding_async.cli.shared.arguments.options import FilePath, json_option

__all__ = ["from_journal"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def from_journal(*, to: str, text: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds FILE, `--output` and `--json`. `to`: what is written. `text`: help of `--output`."""

    def add(command: _Command) -> _Command:
        for decorate in (
            json_option,
            click.option("--output", metavar=to, type=FilePath(Path), help=text),
            click.argument("file", metavar="FILE", type=FilePath(Path)),
        ):
            command = decorate(command)
        return command

    return add

"""Arguments that the commands on plans have in common. Costs little to import."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["plan_argument"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def plan_argument(command: _Command) -> _Command:
    """Add the argument that names a plan."""
    return click.argument("name", metavar="NAME")(command)

"""The arguments that name an account or a project, and the values read from them."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from attrs import frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_account_id, is_ulid

__all__ = ["ProjectRef", "account_argument", "project_argument"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


@frozen
class ProjectRef:
    """The two ids of a project."""

    account_id: int
    project_id: str

    def __str__(self) -> str:
        return f"{self.account_id}/{self.project_id}"

    @property
    def hint(self) -> str:
        """The advice for a project that does not exist."""
        return f"`fielding list projects {self.account_id}` shows the projects that exist"


def account_argument(command: _Command) -> _Command:
    """Add the argument that names an account."""
    return click.argument("account", metavar="ACCOUNT", callback=_account)(command)


def project_argument(command: _Command) -> _Command:
    """Add the argument that names a project by its account and itself, as one text."""
    return click.argument("project", metavar="ACCOUNT/PROJECT", callback=_project)(command)


def _account(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    account, _, rest = text.partition("/")
    if rest:
        raise click.UsageError(f"{text!r} names more than an account: give {account!r} alone.")
    return _number(text)


def _project(_context: click.Context, _parameter: click.Parameter, text: str) -> ProjectRef:
    account, *ids = text.split("/")
    if len(ids) > 1:
        raise click.UsageError(f"{text!r} names more than a project: give {f'{account}/{ids[0]}'!r} alone.")
    if not ids or not ids[0]:
        hint = f"{account}/PROJECT" if account.isascii() and account.isdigit() else "such as 101/01J...P0"
        raise click.UsageError(
            f"{text!r} is not of the form ACCOUNT/PROJECT: give {hint}."
            " `fielding list projects ACCOUNT` shows the projects."
        )
    number = _number(account)
    if not is_ulid(ids[0]):
        hint = f": give {ids[0].upper()}" if is_ulid(ids[0].upper()) else ""
        raise click.UsageError(
            f"{ids[0]!r} is not a project id (26 characters out of 0-9 and A-Z){hint}."
            f" `fielding list projects {number}` shows them."
        )
    return ProjectRef(number, ids[0])


def _number(text: str) -> int:
    try:
        if text.isascii() and text.isdigit() and len(text) <= 10:
            return check_account_id(int(text))
    except ConfigurationError:
        pass
    raise click.UsageError(
        f"{text!r} is not an account id (a whole number from 0 to 2147483647). `fielding list accounts` shows them."
    )

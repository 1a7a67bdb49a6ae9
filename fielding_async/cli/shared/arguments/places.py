"""What the command line acts on, named by its ids: as one text, or the last id with options for the others."""

from collections.abc import Mapping
from typing import Any

import click
from attrs import frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_parents

__all__ = ["GROUP", "GroupRef", "checked_group", "group_ref", "named_ids"]

GROUP = "ACCOUNT/PROJECT/TARGET_GROUP"


@frozen
class GroupRef:
    """The three ids of a target group."""

    account_id: int
    project_id: str
    target_group_id: str

    def __str__(self) -> str:
        return f"{self.account_id}/{self.project_id}/{self.target_group_id}"


def named_ids(
    text: str, argument: str, noun: str, form: str, options: Mapping[str, Any], remedy: str = ""
) -> list[str]:
    """Return the ids that an argument names: all in one text of this form, or the last, with options for the others.

    `options`: their names and values, in the order of the form. `remedy`: what shows such ids. Raises
    `click.UsageError`.
    """
    if "/" in text:
        parts = text.split("/")
        given = [name for name, value in options.items() if value is not None]
        if given:
            raise click.UsageError(f"{argument} names {len(parts)} ids already; leave out {' and '.join(given)}.")
        if len(parts) != len(options) + 1 or not (parts[0].isascii() and parts[0].isdigit()):
            raise click.UsageError(f"{text!r} is not of the form {form}{remedy and f'; {remedy}'}.")
        return parts
    missing = [name for name, value in options.items() if value is None]
    if missing:
        raise click.UsageError(f"Missing {' and '.join(missing)}. Or name the {noun} as {form}, in one argument.")
    return [*map(str, options.values()), text]


def group_ref(text: str, account: int | None, project: str | None) -> GroupRef:
    """Return the target group that an argument names, with the options for its other ids.

    Raises `click.UsageError`.
    """
    options = {"--account": account, "--project": project}
    number, *ids = named_ids(text, "TARGET_GROUP", "target group", GROUP, options)
    return checked_group(number, *ids)


def checked_group(number: str, project: str, group: str) -> GroupRef:
    """Return a target group of these ids. Raises `click.UsageError`."""
    try:
        return GroupRef(**check_parents(int(number), project, group))
    except ConfigurationError as error:
        raise click.UsageError(error.message) from None

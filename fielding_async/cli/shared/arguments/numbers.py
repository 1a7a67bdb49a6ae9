"""The types of options that take a number: their messages name the rule in words."""

from typing import Any

import click

__all__ = ["Number", "WholeNumber"]


class WholeNumber(click.IntRange):
    """A whole number, from `min` to `max` where these are given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fails with a usage error that names the option and the rule."""
        return _converted(self, super().convert, "a whole number", value, param, ctx)


class Number(click.FloatRange):
    """A number, from `min` to `max` where these are given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fails with a usage error that names the option and the rule."""
        return _converted(self, super().convert, "a number", value, param, ctx)


def _converted(
    kind: WholeNumber | Number,
    convert: Any,
    noun: str,
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> Any:
    try:
        return convert(value, param, ctx)
    except click.BadParameter:
        kind.fail(f"{value!r} is not {noun}{_range(kind)}", param, ctx)


def _range(kind: WholeNumber | Number) -> str:
    least = None if kind.min is None else f"{kind.min:g}" if isinstance(kind.min, float) else str(kind.min)
    most = None if kind.max is None else f"{kind.max:g}" if isinstance(kind.max, float) else str(kind.max)
    if least is None:
        return "" if most is None else f" of at most {most}"
    if kind.min_open:
        return f" above {least}" + ("" if most is None else f", of at most {most}")
    return f" of at least {least}" if most is None else f" from {least} to {most}"

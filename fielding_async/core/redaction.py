"""Removal of a secret from values: some servers and proxies repeat in a reply what they were sent."""

from typing import Any, TypeVar, cast

from attrs import evolve, fields, has

__all__ = ["without"]

Value = TypeVar("Value")


def without(secret: str, value: Value) -> Value:
    """Return a value with `***` in place of a secret, or the value itself if the secret is not in it.

    Texts are searched, and so are the members of tuples and the fields of attrs values.
    """
    found: Any = value
    if isinstance(found, str):
        return cast("Value", found.replace(secret, "***")) if secret in found else value
    if isinstance(found, tuple):
        members = cast("tuple[Any, ...]", value)
        cleaned = tuple(without(secret, member) for member in members)
        is_clean = all(new is old for new, old in zip(cleaned, members, strict=True))
        return value if is_clean else cast("Value", cleaned)
    kind: Any = value.__class__
    if not has(kind):
        return value
    changed: dict[str, Any] = {}
    for one in fields(kind):
        old: Any = getattr(found, one.name)
        new = without(secret, old)
        if new is not old:
            changed[one.alias] = new
    return cast("Value", evolve(found, **changed)) if changed else value

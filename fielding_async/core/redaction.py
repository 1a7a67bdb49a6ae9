"""Taking a secret out of values: servers and proxies have been seen to echo what they get."""

from typing import Any, TypeVar, cast

from attrs import evolve, fields, has

__all__ = ["without"]

Value = TypeVar("Value")


def without(secret: str, value: Value) -> Value:
    """Return a value with `***` in place of a secret, in every text within it; one that has none is returned itself.

    Within it are the members of a tuple and the fields of an attrs value.
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
